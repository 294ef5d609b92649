/* Files of authorization. The first byte says which: 'c' an AuthorizationConfiguration, 'a' policies of ABAC, which
 * then decide about some requests. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "auth/authz_config.h"
#include "auth/authz_internal.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_config(const char *text, size_t len)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct authz_specs s = {0};
        if (authz_specs_parse(text, len, &s, &err) < 0) {
                assert(err.message);
                return;
        }
        assert(s.n > 0);
        for (size_t i = 0; i < s.n; i++)
                assert(s.v[i].mode < AUTHZ_N_MODES && s.v[i].name);
        authz_specs_done(&s);
}

static void on_rule(const struct rbac_rule *rule, void *arg)
{
        (void)arg;
        assert(rule->verbs && (rule->urls || (rule->groups && rule->resources)));
}

static void decide(const struct authz_abac *a)
{
        struct kc_user *user = kc_user_new("alice", "1", NULL);
        kc_user_add_group(user, "system:authenticated");
        struct kc_authz_attrs all[] = {
            {.user = user,
                .verb = "get",
                .resource_request = true,
                .ns = "default",
                .group = "",
                .version = "v1",
                .resource = "pods",
                .subresource = "",
                .name = "p",
                .path = ""},
            {.user = user,
                .verb = "post",
                .ns = "",
                .group = "",
                .version = "",
                .resource = "",
                .subresource = "",
                .name = "",
                .path = "/healthz/ping"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(all); i++) {
                KC_CLEANUP(kc_freep) char *reason = NULL;
                assert(authz_abac_allows(a, &all[i], &reason) || reason);
        }
        authz_abac_visit(a, user, "default", on_rule, NULL);
        kc_user_unref(user);
}

static void try_abac(const char *text, size_t len)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct authz_abac *a;
        char path[64];
        int fd = memfd_create("policy", MFD_CLOEXEC);
        assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (authz_abac_load(path, &a, &err) < 0) {
                assert(err.message);
        } else {
                decide(a);
                authz_abac_free(a);
        }
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        if (data[0] == 'c')
                try_config((const char *)data + 1, size - 1);
        else if (data[0] == 'a')
                try_abac((const char *)data + 1, size - 1);
        return 0;
}
