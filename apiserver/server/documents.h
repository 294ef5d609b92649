/* Documents that only change with the schema - discovery, OpenAPI - kept as bytes with an ETag, made when they are
 * first asked for. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct documents;

enum document_form {
        DOCUMENT_PLAIN,      /* JSON */
        DOCUMENT_AGGREGATED, /* of "/api" and "/apis": APIGroupDiscoveryList */
        DOCUMENT_PROTO,      /* of "/openapi/v2" */
};

struct document {
        struct kc_bytes *bytes;
        char *etag; /* hex digits; NULL: none */
};

/* server_address: "10.0.0.1:6443", for /api. */
struct documents *documents_new(const char *server_address);
void documents_free(struct documents *d);
/* "/api", "/apis", "/apis/apps", "/apis/apps/v1", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1"; NULL: there
 * is none. Borrowed, lives as long as the documents. May take some milliseconds: worker threads. */
const struct document *documents_get(struct documents *d, const char *path, enum document_form form);
