/* Discovery and OpenAPI documents, derived from the schema. Documents are JSON trees of the caller's. Any thread. */
#pragma once

#include "api/schema.h"
#include "base/buf.h"
#include "json/json.h"

struct json_object *kc_discovery_api_versions(const char *server_address);          /* /api */
struct json_object *kc_discovery_group_list(void);                                  /* /apis */
struct json_object *kc_discovery_group(const char *group);                          /* /apis/<group>; NULL: none */
struct json_object *kc_discovery_resources(const char *group, const char *version); /* APIResourceList; NULL: none */
/* apidiscovery.k8s.io/v2 APIGroupDiscoveryList for /api (core true) or /apis. */
struct json_object *kc_discovery_aggregated(bool core);

struct json_object *kc_openapi_v2(void);
struct json_object *kc_openapi_v3_index(void); /* paths -> serverRelativeURL with ?hash= */
/* path: "api/v1", "apis/apps/v1", "version", ...; NULL: none. */
struct json_object *kc_openapi_v3(const char *path);
/* The same documents as text, appended to out, without a tree in between: they are large, and constant. -ENOENT. */
void kc_openapi_v2_write(struct kc_buf *out);
/* For Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf; the Content-Type of the answer has a dot in
 * the place of the @, which clients' MIME parsers refuse. */
void kc_openapi_v2_write_proto(struct kc_buf *out);
int kc_openapi_v3_write(const char *path, struct kc_buf *out);
/* The hash that the index gives for a document, usable as an ETag: 32 hex digits. */
enum { KC_OPENAPI_HASH_LEN = 33 };
const char *kc_openapi_hash(const char *data, size_t len, char buf[static KC_OPENAPI_HASH_LEN]);
