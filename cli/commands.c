/* The table of commands. */
#include "cli/commands.h"

const struct kc_command *kc_cli_commands(size_t *ret_n)
{
        static struct kc_command table[16];
        size_t n = 0;
        table[n++] = kc_cmd_get;
        table[n++] = kc_cmd_apply;
        table[n++] = kc_cmd_delete;
        table[n++] = kc_cmd_version;
        table[n++] = kc_cmd_api_resources;
        *ret_n = n;
        return table;
}
