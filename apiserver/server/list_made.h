/* Answers with a list in another form than that of its stored bytes. */
#pragma once

#include "server/server_internal.h"

/* metadata of a list. */
struct list_meta {
        const char *resource_version, *continue_token; /* NULL: none */
        int64_t remaining;                             /* remainingItemCount; < 1: not told */
};

/* Its objects, in the storage version, with kind and apiVersion. */
struct list_items {
        size_t n;
        struct json_object *(*tree)(void *arg, size_t i); /* the caller's */
        void *arg;
};

/* Answers 200 with the list as negotiated: version, form, encoding. Worker threads. */
void list_made_reply(struct api_req *q, const struct list_meta *m, const struct list_items *items);
