/* Any YAML as a kubeconfig file; every context that it has is resolved. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "client/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void resolve(const struct json_object *config, const struct kc_kubeconfig_overrides *o)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_client_config c = {0};
        if (kc_kubeconfig_resolve(config, o, &c, &err) < 0)
                assert(err.message);
        else
                kc_client_config_done(&c);
}

static void resolve_all(const struct json_object *config)
{
        const struct json_object *contexts = kc_json_get(config, "contexts");
        resolve(config, NULL);
        resolve(config, &(struct kc_kubeconfig_overrides){.server = "https://a", .token = "t", .ns = "n"});
        for (size_t i = 0; i < kc_json_len(contexts); i++) {
                const char *name = kc_json_str(kc_json_idx(contexts, i), "name");
                resolve(config, &(struct kc_kubeconfig_overrides){.context = name});
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char path[64];
        int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
        assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        char *paths[] = {path, NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *config = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_kubeconfig_load(paths, &config, &err) < 0)
                assert(err.message);
        else
                resolve_all(config);
        close(fd);
        return 0;
}
