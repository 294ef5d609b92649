/* kubec: the command line of Kubernetes. */
#include <signal.h>

#include "cli/commands.h"

int main(int argc, char **argv)
{
        struct kc_cli cli;
        size_t n;
        /* A broken connection is an error of its own; a closed pipe shows when the output is flushed. */
        (void)signal(SIGPIPE, SIG_IGN);
        kc_cli_init(&cli);
        const struct kc_command *const *commands = kc_cli_commands(&n);
        int code = kc_cli_main(&cli, commands, n, argc, argv);
        kc_cli_done(&cli);
        return code;
}
