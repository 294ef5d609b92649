/* The --audit-* flags of kube-apiserver, with upstream's names and defaults. */
#pragma once

#include "audit/audit.h"
#include "daemon/flags.h"

struct kc_audit_flags {
        struct kc_audit_opts opts; /* complete after kc_audit_flags_complete; borrows from the rest */
        char *policy_file, *webhook_config, *log_path, *log_format, *log_mode, *log_version, *webhook_mode,
            *webhook_version;
};

void kc_audit_flags_defaults(struct kc_audit_flags *f);
/* Writes the rows (ret NULL: none) and returns how many they are. */
size_t kc_audit_flags_table(struct kc_audit_flags *f, struct kc_flag *ret);
/* After parsing: checks, with upstream's messages. */
int kc_audit_flags_complete(struct kc_audit_flags *f, struct kc_error *err);
void kc_audit_flags_done(struct kc_audit_flags *f);
