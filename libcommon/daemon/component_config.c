/* Component config files. Main thread. */
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/flags.h"
#include "json/yaml.h"

enum { CONFIG_MAX = 4 << 20 };

int kc_component_config_load(
    const char *path, const char *const *api_versions, const char *kind, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int r = kc_file_read(path, CONFIG_MAX, &text, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_json_freep) struct json_object *config = NULL;
        r = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &config, err);
        if (r < 0)
                return kc_error_wrap(err, "failed to load config file %s", path);
        const char *version = kc_json_str(config, "apiVersion"), *given_kind = kc_json_str(config, "kind");
        bool known = false;
        for (size_t i = 0; api_versions[i]; i++)
                known = known || kc_streq(version, api_versions[i]);
        if (!known || !kc_streq(given_kind, kind))
                return kc_error_set(err, EINVAL,
                    "failed to load config file %s: no kind \"%s\" is registered for version \"%s\"", path,
                    given_kind ? given_kind : "", version ? version : "");
        *ret = KC_TAKE(config);
        return 0;
}

void kc_component_config_warn_unknown(const struct json_object *config, const char *path, const char *const *known)
{
        KC_JSON_FOREACH(config, key, value)
        {
                (void)value;
                bool found = kc_streq(key, "apiVersion") || kc_streq(key, "kind");
                for (size_t i = 0; known[i] && !found; i++)
                        found = kc_streq(key, known[i]);
                if (!found)
                        kc_log_warn("Unknown field in the config file, ignoring", "file", path, "field", key);
        }
}
