/* Users: who makes a request. Immutable once shared: any thread. */
#include "auth/user.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define SERVICE_ACCOUNT_PREFIX "system:serviceaccount:"

struct kc_user *kc_user_new(const char *name, const char *uid, char *const *groups)
{
        struct kc_user *u = KC_NEW(struct kc_user);
        u->name = kc_strdup(name);
        u->uid = kc_strdup(uid ? uid : "");
        u->groups = kc_strv_copy(groups);
        u->refs = 1;
        return u;
}

struct kc_user *kc_user_ref(const struct kc_user *u)
{
        struct kc_user *mutable = (struct kc_user *)u; /* only the count changes */
        if (mutable)
                __atomic_add_fetch(&mutable->refs, 1, __ATOMIC_RELAXED);
        return mutable;
}

void kc_user_unref(struct kc_user *u)
{
        if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        kc_free(u->name);
        kc_free(u->uid);
        kc_strv_free(u->groups);
        for (size_t i = 0; i < u->n_extra; i++) {
                kc_free(u->extra[i].key);
                kc_strv_free(u->extra[i].values);
        }
        kc_free(u->extra);
        kc_free(u);
}

void kc_user_add_group(struct kc_user *u, const char *group)
{
        if (!kc_user_in_group(u, group))
                kc_strv_push(&u->groups, group);
}

static struct kc_user_extra *find_extra(const struct kc_user *u, const char *key)
{
        for (size_t i = 0; i < u->n_extra; i++)
                if (strcmp(u->extra[i].key, key) == 0)
                        return &u->extra[i];
        return NULL;
}

void kc_user_add_extra(struct kc_user *u, const char *key, const char *value)
{
        struct kc_user_extra *x = find_extra(u, key);
        if (!x) {
                u->extra = kc_reallocarray(u->extra, u->n_extra + 1, sizeof(*u->extra));
                x = &u->extra[u->n_extra++];
                *x = (struct kc_user_extra){.key = kc_strdup(key)};
        }
        kc_strv_push(&x->values, value);
}

bool kc_user_in_group(const struct kc_user *u, const char *group)
{
        return u->groups && kc_strv_has(u->groups, group);
}

char *const *kc_user_extra(const struct kc_user *u, const char *key)
{
        const struct kc_user_extra *x = find_extra(u, key);
        return x ? x->values : NULL;
}

static struct json_object *strings(char *const *v)
{
        struct json_object *a = json_object_new_array();
        for (size_t i = 0; v && v[i]; i++)
                kc_json_push_str(a, v[i]);
        return a;
}

struct json_object *kc_user_to_json(const struct kc_user *u)
{
        struct json_object *o = json_object_new_object();
        if (u->name[0] != '\0')
                kc_json_set_str(o, "username", u->name);
        if (u->uid[0] != '\0')
                kc_json_set_str(o, "uid", u->uid);
        if (u->groups && u->groups[0])
                kc_json_set(o, "groups", strings(u->groups));
        if (u->n_extra > 0) {
                struct json_object *extra = json_object_new_object();
                for (size_t i = 0; i < u->n_extra; i++)
                        kc_json_set(extra, u->extra[i].key, strings(u->extra[i].values));
                kc_json_set(o, "extra", extra);
        }
        return o;
}

char *kc_serviceaccount_username(const char *ns, const char *name)
{
        return kc_asprintf(SERVICE_ACCOUNT_PREFIX "%s:%s", ns, name);
}

bool kc_serviceaccount_split(const char *username, char **ret_ns, char **ret_name)
{
        if (!kc_str_has_prefix(username, SERVICE_ACCOUNT_PREFIX))
                return false;
        const char *ns = username + strlen(SERVICE_ACCOUNT_PREFIX);
        const char *colon = strchr(ns, ':');
        if (!colon || colon == ns || colon[1] == '\0' || strchr(colon + 1, ':'))
                return false;
        *ret_ns = kc_strndup(ns, (size_t)(colon - ns));
        *ret_name = kc_strdup(colon + 1);
        return true;
}
