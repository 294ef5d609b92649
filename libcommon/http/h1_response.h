/* HTTP/1.1 responses (RFC 9112), as a client reads them. Bytes in, events out: no I/O. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "http/chunked.h"

struct http_h1_response {
        /* Set before the first step. */
        bool is_head;    /* the request was HEAD: no body, whatever the fields say */
        bool may_switch; /* 101 is an answer */
        size_t max_head; /* bytes of status line and fields, of all interim responses together */

        /* The answer; headers (strv of alternating lower-case name, value) may be taken. */
        int code;
        char **headers;
        bool keep_alive; /* valid at the end */

        int state, minor;
        struct kc_buf line;
        size_t head_bytes, n_fields;
        uint64_t left;
        struct http_chunked chunked;
};

enum http_h1_event {
        HTTP_H1_MORE, /* all consumed */
        HTTP_H1_HEAD, /* code and headers are complete; 101: what follows is not HTTP */
        HTTP_H1_BODY, /* a piece of body */
        HTTP_H1_END,  /* the response is over; what follows does not belong to it */
};

/* Takes one step. 0; -EPROTO: malformed; -EMSGSIZE: the head is too long; -EBADMSG: malformed body. */
int http_h1_response_step(struct http_h1_response *r, const char *data, size_t len, size_t *ret_used,
    enum http_h1_event *ret_event, const char **ret_piece, size_t *ret_piece_len, struct kc_error *err);
/* The peer has closed: 0 when that ends the body properly, -ECONNRESET: not ("EOF": nothing had come). */
int http_h1_response_eof(const struct http_h1_response *r, struct kc_error *err);
/* Something of it has come. */
bool http_h1_response_begun(const struct http_h1_response *r);
void http_h1_response_done(struct http_h1_response *r);
