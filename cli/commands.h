/* The commands, one file each; the table that lists them is in commands.c. */
#pragma once

#include "cli/cli.h"

const struct kc_command *const *kc_cli_commands(size_t *ret_n);

extern const struct kc_command kc_cmd_annotate;
extern const struct kc_command kc_cmd_api_resources;
extern const struct kc_command kc_cmd_api_versions;
extern const struct kc_command kc_cmd_apply;
extern const struct kc_command kc_cmd_attach;
extern const struct kc_command kc_cmd_auth;
extern const struct kc_command kc_cmd_autoscale;
extern const struct kc_command kc_cmd_certificate;
extern const struct kc_command kc_cmd_cluster_info;
extern const struct kc_command kc_cmd_config;
extern const struct kc_command kc_cmd_cordon;
extern const struct kc_command kc_cmd_cp;
extern const struct kc_command kc_cmd_create;
extern const struct kc_command kc_cmd_debug;
extern const struct kc_command kc_cmd_delete;
extern const struct kc_command kc_cmd_describe;
extern const struct kc_command kc_cmd_diff;
extern const struct kc_command kc_cmd_drain;
extern const struct kc_command kc_cmd_edit;
extern const struct kc_command kc_cmd_events;
extern const struct kc_command kc_cmd_exec;
extern const struct kc_command kc_cmd_explain;
extern const struct kc_command kc_cmd_expose;
extern const struct kc_command kc_cmd_get;
extern const struct kc_command kc_cmd_kustomize;
extern const struct kc_command kc_cmd_label;
extern const struct kc_command kc_cmd_logs;
extern const struct kc_command kc_cmd_patch;
extern const struct kc_command kc_cmd_port_forward;
extern const struct kc_command kc_cmd_proxy;
extern const struct kc_command kc_cmd_replace;
extern const struct kc_command kc_cmd_rollout;
extern const struct kc_command kc_cmd_run;
extern const struct kc_command kc_cmd_scale;
extern const struct kc_command kc_cmd_set;
extern const struct kc_command kc_cmd_taint;
extern const struct kc_command kc_cmd_top;
extern const struct kc_command kc_cmd_uncordon;
extern const struct kc_command kc_cmd_version;
extern const struct kc_command kc_cmd_wait;
