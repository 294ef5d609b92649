/* Shared by the sources of port forwarding. On the loop. */
#pragma once

#include <pthread.h>

#include "cli/stream/forward.h"
#include "cli/stream/wire.h"
#include "stream/spdy.h"

struct forward_conn;

struct listener {
        struct kc_forward *forward;
        int fd, local, remote;
        struct kc_io *io;
        struct listener *next;
};

struct kc_forward {
        struct kc_rest *rest;
        struct kc_loop *loop;
        struct kc_forward_opts o;
        char *path;
        struct kc_wire *wire;
        struct kc_spdy *spdy;
        struct listener *listeners;
        struct forward_conn *conns;
        int requests;
        bool paused; /* the connections are not read: the tunnel is full */
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool open, ended;    /* guarded by lock */
        struct kc_error why; /* guarded by lock; set with ended */
};

/* Sends what the SPDY part has to say, and pauses the connections if that is too much at once. */
void forward_flush(struct kc_forward *f);
/* The end; err may be NULL. */
void forward_end(struct kc_forward *f, const struct kc_error *err);

/* --- forward_conn.c */
/* Takes the socket. */
void forward_conn_new(struct kc_forward *f, int take_fd, int local, int remote);
void forward_conns_pause(struct kc_forward *f, bool paused);
void forward_conns_free(struct kc_forward *f);
extern const struct kc_spdy_cbs forward_spdy_cbs;
