/* kubec cluster-info dump. */
#pragma once

#include "cli/cli.h"

extern const struct kc_command kc_cmd_cluster_info_dump;
