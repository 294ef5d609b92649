/* The table of commands. */
#include "cli/commands.h"

#include "base/macros.h"

const struct kc_command *const *kc_cli_commands(size_t *ret_n)
{
        static const struct kc_command *const table[] = {
            &kc_cmd_get,
            &kc_cmd_describe,
            &kc_cmd_explain,
            &kc_cmd_events,
            &kc_cmd_top,
            &kc_cmd_diff,
            &kc_cmd_apply,
            &kc_cmd_create,
            &kc_cmd_replace,
            &kc_cmd_delete,
            &kc_cmd_label,
            &kc_cmd_annotate,
            &kc_cmd_patch,
            &kc_cmd_taint,
            &kc_cmd_cordon,
            &kc_cmd_uncordon,
            &kc_cmd_drain,
            &kc_cmd_scale,
            &kc_cmd_set,
            &kc_cmd_expose,
            &kc_cmd_autoscale,
            &kc_cmd_certificate,
            &kc_cmd_kustomize,
            &kc_cmd_rollout,
            &kc_cmd_edit,
            &kc_cmd_logs,
            &kc_cmd_exec,
            &kc_cmd_attach,
            &kc_cmd_port_forward,
            &kc_cmd_cp,
            &kc_cmd_proxy,
            &kc_cmd_run,
            &kc_cmd_debug,
            &kc_cmd_wait,
            &kc_cmd_version,
            &kc_cmd_config,
            &kc_cmd_api_resources,
            &kc_cmd_api_versions,
            &kc_cmd_cluster_info,
            &kc_cmd_auth,
        };
        *ret_n = KC_ARRAY_LEN(table);
        return table;
}
