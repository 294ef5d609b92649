/* The admission chain: which plugins are on, and calling them in order. Immutable once made: any thread; the plugins
 * may block. */
#include "admission/admission.h"

#include <errno.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "api/status.h"
#include "base/str.h"

struct kc_admission {
        struct kc_admission_opts o;
        const struct kc_admission_plugin **on;
        size_t n_on;
        char **names; /* strv */
        kc_admission_writer_fn writer;
        void *writer_ctx;
};

static bool known(const char *name)
{
        for (const struct kc_admission_plugin *p = adm_plugins; p->name; p++)
                if (strcmp(p->name, name) == 0)
                        return true;
        return false;
}

static int check_names(const char *flag, char *const *names, struct kc_error *err)
{
        for (; names && *names; names++)
                if (!known(*names))
                        return kc_error_set(err, EINVAL, "%s plugin \"%s\" is unknown", flag, *names);
        return 0;
}

int kc_admission_new(const struct kc_admission_opts *o, struct kc_admission **ret, struct kc_error *err)
{
        int r = check_names("enable-admission-plugins", o->enable, err);
        if (r == 0)
                r = check_names("disable-admission-plugins", o->disable, err);
        if (r < 0)
                return r;
        for (char *const *e = o->enable; e && *e; e++)
                if (o->disable && kc_strv_has(o->disable, *e))
                        return kc_error_set(err, EINVAL,
                            "[%s] in enable-admission-plugins and disable-admission-plugins "
                            "overlapped",
                            *e);
        struct kc_admission *a = KC_NEW(struct kc_admission);
        a->o = *o;
        for (const struct kc_admission_plugin *p = adm_plugins; p->name; p++) {
                bool enabled = o->enable && kc_strv_has(o->enable, p->name);
                bool disabled = o->disable && kc_strv_has(o->disable, p->name);
                if ((!p->admit && !p->validate) || disabled || (!p->default_on && !enabled))
                        continue;
                a->on = kc_reallocarray(a->on, a->n_on + 1, sizeof(*a->on));
                a->on[a->n_on++] = p;
                kc_strv_push(&a->names, p->name);
        }
        *ret = a;
        return 0;
}

void kc_admission_free(struct kc_admission *a)
{
        if (!a)
                return;
        kc_free(a->on);
        kc_strv_free(a->names);
        kc_free(a);
}

char *const *kc_admission_plugins(const struct kc_admission *a)
{
        return a->names;
}

int kc_admission_admit(struct kc_admission *a, struct kc_admission_attrs *attrs, struct kc_error *err)
{
        for (size_t i = 0; i < a->n_on; i++) {
                if (!a->on[i]->admit || !(a->on[i]->ops & (int)attrs->op))
                        continue;
                int r = a->on[i]->admit(a, attrs, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int kc_admission_validate(struct kc_admission *a, const struct kc_admission_attrs *attrs, struct kc_error *err)
{
        for (size_t i = 0; i < a->n_on; i++) {
                if (!a->on[i]->validate || !(a->on[i]->ops & (int)attrs->op))
                        continue;
                int r = a->on[i]->validate(a, attrs, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

const struct kc_resources *kc_admission_resources(const struct kc_admission *a)
{
        return a->o.resources;
}

struct kc_authz *kc_admission_authz(const struct kc_admission *a)
{
        return a->o.authz;
}

void kc_admission_set_writer(struct kc_admission *a, kc_admission_writer_fn fn, void *ctx)
{
        a->writer = fn;
        a->writer_ctx = ctx;
}

int kc_admission_change(struct kc_admission *a, const char *group, const char *resource, const char *subresource,
    const char *ns, const char *name, kc_admission_change_fn change, void *arg, struct kc_error *err)
{
        return a->writer(a->writer_ctx, group, resource, subresource, ns, name, change, arg, err);
}

/* --- shared by the plugins */

const char *adm_name(const struct kc_admission_attrs *a)
{
        if (a->name[0] != '\0')
                return a->name;
        const char *name = a->obj ? kc_meta_name(a->obj) : NULL;
        if (kc_str_empty(name) && a->obj)
                name = kc_json_str_at(a->obj, "metadata.generateName");
        return name ? name : "";
}

int adm_forbidden(struct kc_error *err, const struct kc_admission_attrs *a, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *why = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_err_forbidden(err, a->row->group, a->row->resource, adm_name(a), why);
}

bool adm_is_sub(const struct kc_admission_attrs *a, const char *group, const char *resource, const char *subresource)
{
        return strcmp(a->row->group, group) == 0 && strcmp(a->row->resource, resource) == 0 &&
               strcmp(a->subresource, subresource) == 0;
}

bool adm_is(const struct kc_admission_attrs *a, const char *group, const char *resource)
{
        return adm_is_sub(a, group, resource, "");
}

bool adm_is_mirror_pod(const struct json_object *pod)
{
        return kc_meta_annotation(pod, ADM_MIRROR_ANNOTATION) != NULL;
}

static bool env_refers_to(const struct json_object *container, const char *key_ref, const char *from_ref)
{
        const struct json_object *env = kc_json_get(container, "env"), *from = kc_json_get(container, "envFrom");
        for (size_t i = 0; key_ref && i < kc_json_len(env); i++)
                if (kc_json_get(kc_json_get(kc_json_idx(env, i), "valueFrom"), key_ref))
                        return true;
        for (size_t i = 0; from_ref && i < kc_json_len(from); i++)
                if (kc_json_get(kc_json_idx(from, i), from_ref))
                        return true;
        return false;
}

static bool volume_refers_to(const struct json_object *volume, const char *source, const char *secret_ref)
{
        if (kc_json_get(volume, source))
                return true;
        const struct json_object *sources = kc_json_at(volume, "projected.sources");
        for (size_t i = 0; i < kc_json_len(sources); i++)
                if (kc_json_get(kc_json_idx(sources, i), source))
                        return true;
        /* Network volumes that take their credentials from a secret. */
        if (secret_ref)
                KC_JSON_FOREACH(volume, key, val)
                {
                        (void)key; /* whichever kind of volume */
                        if (kc_json_get(val, secret_ref) || kc_json_get(val, "nodePublishSecretRef"))
                                return true;
                }
        return false;
}

bool adm_pod_refers_to(const struct json_object *pod, const char *resource)
{
        static const struct {
                const char *resource, *key_ref, *from_ref, *source, *secret_ref;
        } kinds[] = {
            {"secrets", "secretKeyRef", "secretRef", "secret", "secretRef"},
            {"configmaps", "configMapKeyRef", "configMapRef", "configMap", NULL},
            {"persistentvolumeclaims", NULL, NULL, "persistentVolumeClaim", NULL},
        };
        size_t k = 0;
        while (k < KC_ARRAY_LEN(kinds) && strcmp(kinds[k].resource, resource) != 0)
                k++;
        if (k == KC_ARRAY_LEN(kinds))
                return false;
        const struct json_object *spec = kc_json_get(pod, "spec");
        static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *containers = kc_json_get(spec, lists[l]);
                for (size_t i = 0; i < kc_json_len(containers); i++)
                        if (env_refers_to(kc_json_idx(containers, i), kinds[k].key_ref, kinds[k].from_ref))
                                return true;
        }
        if (k == 0 && kc_json_len(kc_json_get(spec, "imagePullSecrets")) > 0)
                return true;
        const struct json_object *volumes = kc_json_get(spec, "volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++)
                if (volume_refers_to(kc_json_idx(volumes, i), kinds[k].source, kinds[k].secret_ref))
                        return true;
        return false;
}

ADM_VALIDATE(adm_always_deny)
{
        (void)adm; /* refuses whatever it is */
        return adm_forbidden(err, a, "admission control is denying all modifications");
}
