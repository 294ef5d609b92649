/* The pod sandbox's process: holds the pod's namespaces and reaps orphans when it is PID 1 of a shared PID namespace. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_term(int signo)
{
        (void)signo;
        _exit(0);
}

static void on_child(int signo)
{
        (void)signo;
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

int main(void)
{
        struct sigaction term = {.sa_handler = on_term};
        struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};

        if (sigaction(SIGINT, &term, NULL) < 0 || sigaction(SIGTERM, &term, NULL) < 0 ||
            sigaction(SIGCHLD, &child, NULL) < 0)
                return EXIT_FAILURE;
        for (;;)
                (void)pause(); /* returns only to let a handler have run */
}
