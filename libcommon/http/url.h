/* URLs as an HTTP client needs them. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct http_url {
        bool https;
        char *host, *port; /* host without brackets; the scheme's port when none is given */
        char *authority;   /* for Host and :authority: "host" or "host:port", as written */
        char *target;      /* path and query, at least "/" */
        char *userinfo;    /* NULL: none */
};

/* "http://..." or "https://...". -EINVAL. The path is left as it is. */
int http_url_parse(const char *text, struct http_url *ret, struct kc_error *err);
void http_url_done(struct http_url *u);
/* What a Location header means relative to base (RFC 3986, 5.2). Heap. */
char *http_url_resolve(const struct http_url *base, const char *reference);
