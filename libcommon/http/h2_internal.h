/* HTTP/2: state of a connection, shared by input (h2.c) and output (h2_answer.c). */
#pragma once

#include "http/http_internal.h"

/* What has come lately: leaks with a rate. */
struct http_bucket {
        double level;
        kc_mono at;
};

struct http_h2 {
        nghttp2_session *session;
        struct kc_list reqs; /* struct kc_http_req.h2_node */
        size_t n_reqs;
        struct http_bucket resets, control;
        bool settings_seen;
        bool draining, goaway_sent;
        bool broken; /* the peer's fault: ends after what is queued */
        bool failed; /* the session cannot go on */
};

/* A stream was reset, by the peer or for its fault. Not 0: the session cannot even say so. */
int http_h2_count_reset(struct http_conn *c);
void http_h2_set_send_callbacks(nghttp2_session_callbacks *cb);
/* The peer has seen the notice: no new streams from here on. */
void http_h2_final_goaway(struct http_conn *c);
