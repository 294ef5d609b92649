/* udp_echo <port> <name>: answers each datagram with its name. Runs in a pod of services_test.sh; busybox has no UDP server. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
        struct sockaddr_in at = {.sin_family = AF_INET}, from;
        char buf[1500];
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        if (argc != 3 || fd < 0)
                return 2;
        at.sin_port = htons((uint16_t)atoi(argv[1]));
        if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
                return 1;
        for (;;) {
                socklen_t len = sizeof(from);
                if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) >= 0)
                        (void)sendto(fd, argv[2], strlen(argv[2]), 0, (struct sockaddr *)&from, len); /* it asks again */
        }
}
