/* Objects of -f and -k. Main thread. */
#include "cli/manifest_options.h"

#include <errno.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/str.h"
#include "cli/kustomize/kustomize.h"

bool kc_manifest_options_given(const struct kc_manifest_options *o)
{
        return o->files || !kc_str_empty(o->kustomize);
}

int kc_manifest_options_check(const struct kc_manifest_options *o, struct kc_error *err)
{
        if (o->files && !kc_str_empty(o->kustomize))
                return kc_error_set(err, EINVAL, "only one of -f or -k can be specified");
        if (!kc_manifest_options_given(o))
                return kc_error_set(err, EINVAL, "must specify one of -f and -k");
        return 0;
}

static int load_kustomization(struct kc_cli *c, const char *dir, struct kc_manifests *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        struct kc_resource_map *map;
        const char *ns;
        KC_CLEANUP(kc_buf_done) struct kc_buf warnings = KC_BUF_INIT;
        struct kc_kustomize_options o = {.warnings = &warnings};
        int e = kc_kustomize_build(dir, &o, &text, err);
        (void)fputs(kc_buf_str(&warnings), c->err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_cli_files_namespace(c, &ns, err);
        if (e == 0 && text.len > 0)
                e = kc_manifests_parse(map, ns, kc_cli_namespace_given(c), dir, kc_buf_str(&text), text.len, ret, err);
        return e;
}

static int keep_selected(struct kc_manifests *m, const char *selector, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        int e = kc_selector_parse(selector, &s, err);
        if (e < 0)
                return e;
        size_t kept = 0;
        for (size_t i = 0; i < m->n; i++) {
                struct kc_manifest x = m->v[i];
                if (kc_selector_matches(s, kc_json_at(x.obj, "metadata.labels")))
                        m->v[kept++] = x;
                else
                        kc_manifest_done(&x);
        }
        m->n = kept;
        return 0;
}

int kc_manifest_options_load(
    struct kc_cli *c, const struct kc_manifest_options *o, struct kc_manifests *ret, struct kc_error *err)
{
        int e = kc_str_empty(o->kustomize) ? kc_manifests_load(c, o->files, o->recursive, ret, err)
                                           : load_kustomization(c, o->kustomize, ret, err);
        return e < 0 || kc_str_empty(o->selector) ? e : keep_selected(ret, o->selector, err);
}
