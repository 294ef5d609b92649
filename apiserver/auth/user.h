/* user.Info of upstream: who makes a request. Immutable once shared; reference-counted, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "json/json.h"

#define KC_USER_ANONYMOUS "system:anonymous"
#define KC_USER_APISERVER "system:apiserver" /* the apiserver itself, member of system:masters */
#define KC_GROUP_UNAUTHENTICATED "system:unauthenticated"
#define KC_GROUP_AUTHENTICATED "system:authenticated"
#define KC_GROUP_MASTERS "system:masters"
#define KC_GROUP_NODES "system:nodes"
#define KC_GROUP_SERVICEACCOUNTS "system:serviceaccounts"

struct kc_user_extra {
        char *key;     /* "authentication.kubernetes.io/pod-name" */
        char **values; /* strv */
};

struct kc_user {
        char *name;
        char *uid;     /* "" if none */
        char **groups; /* strv */
        struct kc_user_extra *extra;
        size_t n_extra;
        int refs;
};

/* uid NULL: ""; groups (strv, copied) may be NULL. */
struct kc_user *kc_user_new(const char *name, const char *uid, char *const *groups);
struct kc_user *kc_user_ref(const struct kc_user *u);
void kc_user_unref(struct kc_user *u);
KC_DEFINE_CLEANUP(struct kc_user *, kc_user_unref)
/* Before it is shared. */
void kc_user_add_group(struct kc_user *u, const char *group);
void kc_user_add_extra(struct kc_user *u, const char *key, const char *value);
bool kc_user_in_group(const struct kc_user *u, const char *group);
/* NULL: none. */
char *const *kc_user_extra(const struct kc_user *u, const char *key);
/* authentication/v1 UserInfo: {"username":..,"uid":..,"groups":[..],"extra":{..}}. The caller's. */
struct json_object *kc_user_to_json(const struct kc_user *u);
/* "system:serviceaccount:ns:name"; heap. */
char *kc_serviceaccount_username(const char *ns, const char *name);
/* The inverse; false if it is none. Heap. */
bool kc_serviceaccount_split(const char *username, char **ret_ns, char **ret_name);
