/* /healthz, /livez, /readyz (with ?verbose, ?exclude= and /<check> below them), /version and /metrics: the endpoints
 * that every daemon serves. */
#pragma once

#include "base/error.h"
#include "http/server.h"

struct kc_health;

enum { KC_HEALTH_LIVEZ = 1, KC_HEALTH_READYZ = 2, KC_HEALTH_HEALTHZ = 4, KC_HEALTH_ALL = 7 };

struct kc_health *kc_health_new(void);
void kc_health_free(struct kc_health *h);
KC_DEFINE_CLEANUP(struct kc_health *, kc_health_free)
/* check: 0 when well, else negative with a message in err (shown in logs; clients see "reason withheld"). Called on the
 * server's loop thread: must not block. Before serving. name "ping" exists always. */
void kc_health_add(
    struct kc_health *h, const char *name, int where, int (*check)(void *arg, struct kc_error *err), void *arg);
/* Any thread: "shutdown" fails readyz from now on. */
void kc_health_shutting_down(struct kc_health *h);
/* Runs the checks of one of the three: 0 when all are well, else the first one's error. For code that wants to know
 * itself. */
int kc_health_check(struct kc_health *h, int where, struct kc_error *err);
/* Answers if the path is one of its own; else returns false. Upstream's bodies: "ok", "[+]ping ok\n...readyz check
 * passed\n". On the request's loop. */
bool kc_health_handle(struct kc_health *h, struct kc_http_req *req);
/* version.Info. Strings are static. */
struct kc_version_info {
        const char *major, *minor, *git_version, *git_commit, *git_tree_state, *build_date, *go_version, *compiler,
            *platform;
};
void kc_version_info(struct kc_version_info *ret);
/* The same as JSON, {"major": "1","minor": "36",...}, indented as upstream's. Heap. */
char *kc_version_json(void);
#define KC_KUBE_VERSION "v1.36.2+kubec." KUBEC_VERSION
