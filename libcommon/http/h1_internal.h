/* HTTP/1: state of a connection, shared by input (h1.c), heads of requests (h1_head.c) and output (h1_answer.c). */
#pragma once

#include "http/http_internal.h"

enum h1_phase {
        H1_HEAD, /* a request's head is awaited or incomplete */
        H1_BODY,
        H1_BUSY, /* the request is being answered; further input is kept */
        H1_OVER, /* nothing is read any more */
};

struct http_h1 {
        enum h1_phase phase;
        struct kc_buf in;           /* input not yet used */
        size_t scanned, line_start; /* of the head being collected */
        struct kc_http_req *req;
        struct http_chunked chunked;
        uint64_t body_left; /* without chunks */
        bool head_started;
        bool chunked_in;
        bool body_done;
        bool keep_alive;
        bool chunked_out;
        bool in_input; /* http_h1_input is at work */
};

/* Makes h1->req of a complete head and sets what the body will be. 0, or the status code of its refusal. */
int http_h1_parse_head(struct http_conn *c, const char *data, size_t len);
