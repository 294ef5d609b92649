/* kubec proxy: requests of this machine passed on to the API server with the user's credentials. One connection to the
 * server for each request, so that what follows an upgrade or a watch are just bytes.
 *
 *   client --head--> filter --> [identity added] --bytes--> server
 *
 * On the client's loop. */
#pragma once

#include <regex.h>

#include "client/rest.h"
#include "http/url.h"
#include "tls/tls.h"

struct kc_proxy_filter {
        regex_t *accept_paths, *reject_paths, *accept_hosts, *reject_methods; /* each with its number */
        size_t n_accept_paths, n_reject_paths, n_accept_hosts, n_reject_methods;
        bool off;
};
struct kc_proxy_server {
        struct kc_rest *rest;
        struct kc_loop *loop;
        struct http_url url;        /* of the API server */
        struct kc_tls_client *tls;  /* NULL: plain */
        const char *tls_name;       /* or NULL */
        const char *prefix;         /* "/" at both ends: what is passed on, without it */
        const char *www, *www_path; /* www NULL: no files; the prefix has "/" at both ends */
        bool append_path;           /* the path of url goes in front of each */
        struct kc_proxy_filter filter;
};

/* A connection that was accepted; takes the socket. The server has to last as long as the loop. */
void kc_proxy_accept(const struct kc_proxy_server *s, int take_fd);
/* The whole answer for a file below root; path is what follows the prefix, decoded. Heap. Any thread. */
void kc_proxy_file(const char *root, const char *path, const char *url_path, struct kc_buf *out);
/* An answer without much of a body. */
void kc_proxy_error(int code, const char *reason, const char *body, struct kc_buf *out);
