/* The CNI configuration of the node's pod CIDR: bridge, host-local addresses, host ports. The runtime reads it; Network
 * add-ons that write their own sort before or after it by name. Thread: the node's tick. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/node/node_internal.h"

#define FILE_NAME "10-kubec.conflist"

char *kc_cni_config_text(const char *ipam_dir, char *const *pod_cidrs)
{
        struct json_object *ranges = json_object_new_array(), *routes = json_object_new_array();
        bool v4 = false, v6 = false;
        for (; pod_cidrs && *pod_cidrs; pod_cidrs++) {
                struct json_object *range = json_object_new_array();
                kc_json_push(range, kc_json_build("{'subnet':%s}", *pod_cidrs));
                kc_json_push(ranges, range);
                bool is_v6 = strchr(*pod_cidrs, ':') != NULL;
                v6 |= is_v6;
                v4 |= !is_v6;
        }
        if (v4)
                kc_json_push(routes, kc_json_build("{'dst':'0.0.0.0/0'}"));
        if (v6)
                kc_json_push(routes, kc_json_build("{'dst':'::/0'}"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *config =
            kc_json_build("{'cniVersion':'0.4.0','name':'kubec','plugins':["
                          "{'type':'bridge','bridge':'cni0','isGateway':true,'ipMasq':true,'hairpinMode':true,"
                          "'ipam':{'type':'host-local','dataDir':%s,'ranges':%o,'routes':%o}},"
                          "{'type':'portmap','capabilities':{'portMappings':true}}]}",
                ipam_dir, ranges, routes);
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_pretty(&b, config, 2, false);
        kc_buf_addc(&b, '\n');
        return kc_buf_take_str(&b);
}

int kc_cni_config_write(const char *dir, const char *ipam_dir, char *const *pod_cidrs, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = kc_cni_config_text(ipam_dir, pod_cidrs);
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, FILE_NAME);
        struct kc_buf b = KC_BUF_INIT;
        bool same = kc_file_read(path, 1 << 20, &b, NULL) == 0 && kc_streq(kc_buf_str(&b), text);
        kc_buf_done(&b);
        if (same)
                return 0;
        int r = kc_mkdir_p(dir, 0755, err);
        return r < 0 ? r : kc_file_write_atomic(path, text, strlen(text), 0644, err);
}
