/* What answers of proxied pages say about where things are. Pure. */
#pragma once

#include "base/buf.h"

struct proxy_page {
        const char *prefix;       /* "/api/v1/namespaces/a/pods/b/proxy": goes before paths of the backend */
        const char *host;         /* the backend's, as in URLs: "10.0.0.1:8080" */
        const char *request_host; /* the Host header of the client's request */
};
/* A URL of a page as the client has to see it: paths of the same host get the prefix, everything else stays. Heap. */
char *proxy_rewrite_url(const struct proxy_page *p, const char *url);
/* Rewrites the URLs in the attributes of an HTML page that have some; all other bytes stay as they are. */
void proxy_rewrite_html(const struct proxy_page *p, const char *html, size_t len, struct kc_buf *out);
/* The same for a body with that Content-Encoding (NULL or "": none). False: not understood, or broken; out is empty
 * then. An unpacked page has at most max bytes. */
bool proxy_rewrite_body(
    const struct proxy_page *p, const char *encoding, const struct kc_buf *body, size_t max, struct kc_buf *out);

/* "https:name:port" and its shorter forms. False: not one. All heap; "" where absent. */
bool proxy_split_name(const char *id, char **ret_scheme, char **ret_name, char **ret_port);
/* What stands behind ".../proxy" in an undecoded path, with dot segments and double slashes taken out: "" or "/...".
 * Heap. */
char *proxy_path(const char *path, size_t n_parts_before);
