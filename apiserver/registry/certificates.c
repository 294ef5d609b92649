/* CertificateSigningRequests: who asks, that they hold the key, and when conditions came about; and APIServices. Worker
 * threads. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "admission/certificates.h"
#include "api/object.h"
#include "base/str.h"
#include "registry/strategies.h"

/* --- Who asks */

static struct json_object *string_list(char *const *list)
{
        struct json_object *a = json_object_new_array();
        for (size_t i = 0; list && list[i]; i++)
                kc_json_push_str(a, list[i]);
        return a;
}

static void set_requester(struct json_object *spec, const struct kc_user *user)
{
        static const char *const keys[] = {"username", "uid", "groups", "extra"};
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                kc_json_del(spec, keys[i]);
        if (!user)
                return;
        if (!kc_str_empty(user->name))
                kc_json_set_str(spec, "username", user->name);
        if (!kc_str_empty(user->uid))
                kc_json_set_str(spec, "uid", user->uid);
        if (user->groups && user->groups[0])
                kc_json_set(spec, "groups", string_list(user->groups));
        for (size_t i = 0; i < user->n_extra; i++)
                kc_json_set(kc_json_ensure_obj(spec, "extra"), user->extra[i].key, string_list(user->extra[i].values));
}

static void create_request(const struct kc_registry_ctx *c, struct json_object *csr)
{
        kc_strategy_create_uncounted(c, csr);
        set_requester(kc_json_ensure_obj(csr, "spec"), c->user);
}

/* --- That they hold the key: the request is signed with it */

static void check_signature(
    const struct kc_registry_ctx *c, const struct json_object *csr, struct kc_field_errors *errors)
{
        const char *request = kc_json_str_at(csr, "spec.request"), *why = NULL;
        (void)c; /* the same for every request */
        /* What is none at all has been refused already. */
        for (size_t i = 0; i < errors->n; i++)
                if (kc_streq(errors->v[i].field, "spec.request"))
                        return;
        X509_REQ *req = kc_certificate_request_parse(request ? request : "");
        EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;
        if (!req)
                why = "x509: malformed certificate request";
        else if (!key)
                why = "x509: cannot verify signature: algorithm unimplemented";
        else if (X509_REQ_verify(req, key) != 1)
                why = "x509: the signature of the certificate request is not that of its key";
        if (why)
                kc_field_invalid_str(errors, "spec.request", request, why);
        EVP_PKEY_free(key);
        X509_REQ_free(req);
        ERR_clear_error();
}

/* --- Updates: nothing but labels and annotations, the certificate, or the decision */

static void update_request(const struct kc_registry_ctx *c, struct json_object *csr, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_keep(csr, old, "spec");
        kc_strategy_keep(csr, old, "status");
}

static const struct json_object *same_condition(const struct json_object *old, const struct json_object *condition)
{
        const struct json_object *list = kc_json_at(old, "status.conditions");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                if (kc_streq(kc_json_str(o, "type"), kc_json_str(condition, "type")) &&
                    kc_streq(kc_json_str(o, "status"), kc_json_str(condition, "status")))
                        return o;
        }
        return NULL;
}

static void set_times(const struct kc_registry_ctx *c, struct json_object *csr, const struct json_object *old)
{
        char now[KC_TIME_LEN];
        struct json_object *list = kc_json_at_mut(csr, "status.conditions");
        (void)kc_time_format(c->now, now);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                struct json_object *o = kc_json_idx_mut(list, i);
                const char *before = kc_json_str(same_condition(old, o), "lastTransitionTime");
                if (!kc_json_get(o, "lastUpdateTime"))
                        kc_json_set_str(o, "lastUpdateTime", now);
                if (!kc_json_get(o, "lastTransitionTime"))
                        kc_json_set_str(o, "lastTransitionTime", before ? before : now);
        }
}

static void update_request_status(
    const struct kc_registry_ctx *c, struct json_object *csr, const struct json_object *old)
{
        kc_strategy_keep(csr, old, "spec");
        set_times(c, csr, old);
}

/* Of the status only the conditions. */
static void update_approval(const struct kc_registry_ctx *c, struct json_object *csr, const struct json_object *old)
{
        struct json_object *conditions = kc_json_copy(kc_json_at(csr, "status.conditions"));
        kc_strategy_keep(csr, old, "spec");
        kc_strategy_keep(csr, old, "status");
        if (conditions)
                kc_json_set(kc_json_ensure_obj(csr, "status"), "conditions", conditions);
        else if (kc_json_get(csr, "status"))
                kc_json_del(kc_json_get_mut(csr, "status"), "conditions");
        set_times(c, csr, old);
}

static const struct kc_subresource_strategy request_subresources[] = {
    {.name = "status", .prepare_for_update = update_request_status},
    {.name = "approval", .prepare_for_update = update_approval},
};

const struct kc_strategy kc_strategy_certificatesigningrequests = {
    .group = "certificates.k8s.io",
    .resource = "certificatesigningrequests",
    .prepare_for_create = create_request,
    .validate_create = check_signature,
    .prepare_for_update = update_request,
    .subresources = request_subresources,
    .n_subresources = KC_ARRAY_LEN(request_subresources),
};

/* --- APIServices: those that this server serves itself are there */

static void create_api_service(const struct kc_registry_ctx *c, struct json_object *service)
{
        char now[KC_TIME_LEN];
        kc_strategy_create_uncounted(c, service);
        if (kc_json_at(service, "spec.service"))
                return;
        kc_json_set(service, "status",
            kc_json_build("{'conditions':[{'type':'Available','status':'True','lastTransitionTime':%s,'reason':'Local',"
                          "'message':'Local APIServices are always available'}]}",
                kc_time_format(c->now, now)));
}

const struct kc_strategy kc_strategy_apiservices = {
    .group = "apiregistration.k8s.io",
    .resource = "apiservices",
    .prepare_for_create = create_api_service,
    .prepare_for_update = kc_strategy_update_uncounted,
    .require_resource_version = true,
};

/* --- CustomResourceDefinitions: the versions in which objects have been stored */

static void add_stored_version(struct json_object *crd)
{
        const struct json_object *versions = kc_json_at(crd, "spec.versions");
        for (size_t i = 0; i < kc_json_len(versions); i++) {
                const char *name = kc_json_str(kc_json_idx(versions, i), "name");
                if (!kc_json_bool(kc_json_idx(versions, i), "storage", false))
                        continue;
                struct json_object *stored = kc_json_ensure_arr(crd, "status.storedVersions");
                for (size_t j = 0; j < kc_json_len(stored); j++)
                        if (kc_streq(kc_json_as_str(kc_json_idx(stored, j)), name))
                                return;
                kc_json_push_str(stored, name ? name : "");
                return;
        }
}

static void create_definition(const struct kc_registry_ctx *c, struct json_object *crd)
{
        kc_strategy_default_create(c, crd);
        add_stored_version(crd);
}

static void update_definition(const struct kc_registry_ctx *c, struct json_object *crd, const struct json_object *old)
{
        kc_strategy_default_update(c, crd, old);
        add_stored_version(crd);
}

const struct kc_strategy kc_strategy_customresourcedefinitions = {
    .group = "apiextensions.k8s.io",
    .resource = "customresourcedefinitions",
    .prepare_for_create = create_definition,
    .prepare_for_update = update_definition,
    .require_resource_version = true,
};
