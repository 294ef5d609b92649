/* A private etcd for a test: loopback, free ports, a data directory of its own (in memory where there is one). */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"

struct etcd {
        pid_t pid;
        int port, peer_port;
        char dir[64];
        char endpoint[64];
};

static KC_UNUSED int free_port(void)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(sa);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
                abort();
        close(fd);
        return ntohs(sa.sin_port);
}

/* extra: one more argument or NULL. Waits until it accepts connections. */
static KC_UNUSED void etcd_run(struct etcd *e, const char *extra)
{
        char client[64], peer[64], data[80], cluster[80];
        snprintf(client, sizeof(client), "http://127.0.0.1:%d", e->port);
        snprintf(peer, sizeof(peer), "http://127.0.0.1:%d", e->peer_port);
        snprintf(data, sizeof(data), "%s/data", e->dir);
        snprintf(cluster, sizeof(cluster), "t=%s", peer);
        const char *argv[] = {"etcd", "--name", "t", "--data-dir", data, "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--heartbeat-interval", "10", "--election-timeout", "100", extra, NULL};
        pid_t parent = getpid();
        e->pid = fork();
        if (e->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(1);
                int null = open("/dev/null", O_RDWR);
                dup2(null, 1);
                dup2(null, 2);
                execv("/usr/bin/etcd", (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        struct sockaddr_in sa = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)e->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        for (int tries = 0;; tries++) {
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                int r = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
                close(fd);
                if (r == 0)
                        return;
                if (tries > 2000 || waitpid(e->pid, NULL, WNOHANG) != 0) {
                        fprintf(stderr, "etcd does not start\n");
                        abort();
                }
                usleep(5000); /* it has no way to tell us */
        }
}

static KC_UNUSED void etcd_start(struct etcd *e)
{
        snprintf(e->dir, sizeof(e->dir), "%s/kubec-etcd-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(e->dir))
                abort();
        e->port = free_port();
        e->peer_port = free_port();
        snprintf(e->endpoint, sizeof(e->endpoint), "http://127.0.0.1:%d", e->port);
        etcd_run(e, NULL);
}

static KC_UNUSED void etcd_kill(struct etcd *e)
{
        if (e->pid <= 0)
                return;
        kill(e->pid, SIGCONT);
        kill(e->pid, SIGKILL);
        waitpid(e->pid, NULL, 0);
        e->pid = 0;
}

static KC_UNUSED void etcd_wipe(struct etcd *e)
{
        char cmd[128];
        snprintf(cmd, sizeof(cmd), "rm -rf '%s/data'", e->dir);
        if (system(cmd) != 0)
                abort();
}

static KC_UNUSED void etcd_stop(struct etcd *e)
{
        etcd_kill(e);
        etcd_wipe(e);
        rmdir(e->dir);
}
