#pragma once

#include "stream/filter.h"
#include "stream/websocket.h"

struct filter_ops {
        void (*open)(struct kc_filter *f);
        int (*backend)(struct kc_filter *f, const char *data, size_t len);
        void (*backend_gone)(struct kc_filter *f, const struct kc_error *err);
        void (*refuse)(struct kc_filter *f, const char *status);
        void (*free)(struct kc_filter *f);
};

struct kc_filter {
        const struct filter_ops *ops;
        struct kc_ws *ws; /* towards the client, as a server */
        struct kc_buf to_client, to_backend;
        bool over;
};
