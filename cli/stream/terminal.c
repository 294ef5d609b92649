/* Terminal modes. Main thread, and signal handlers. */
#include "cli/stream/terminal.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/macros.h"

static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
static struct {
        volatile sig_atomic_t on;
        int fd;
        struct termios was;
        struct sigaction actions[KC_ARRAY_LEN(ending)];
} guard;

static void on_signal(int signo)
{
        (void)signo;
        if (guard.on)
                (void)tcsetattr(guard.fd, TCSANOW, &guard.was);
        _exit(1);
}

void kc_terminal_end_on_signals(void)
{
        struct sigaction action = {.sa_handler = on_signal};
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < KC_ARRAY_LEN(ending); i++)
                (void)sigaction(ending[i], &action, &guard.actions[i]);
}

int kc_terminal_guard(int fd, bool raw)
{
        if (tcgetattr(fd, &guard.was) < 0)
                return -errno;
        guard.fd = fd;
        guard.on = 1;
        kc_terminal_end_on_signals();
        if (!raw)
                return 0;
        struct termios t = guard.was;
        /* As Go's term.MakeRaw. */
        t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        t.c_oflag &= ~(tcflag_t)OPOST;
        t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        t.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
        t.c_cflag |= CS8;
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
        if (tcsetattr(fd, TCSANOW, &t) < 0) {
                int e = errno;
                kc_terminal_restore();
                return -e;
        }
        return 0;
}

void kc_terminal_restore(void)
{
        if (!guard.on)
                return;
        (void)tcsetattr(guard.fd, TCSANOW, &guard.was); /* it was one a moment ago; there is no more to be done */
        guard.on = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(ending); i++)
                (void)sigaction(ending[i], &guard.actions[i], NULL);
}

void kc_terminal_forget(void)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(ending); i++)
                (void)signal(ending[i], SIG_DFL);
        (void)signal(SIGPIPE, SIG_DFL);
}

bool kc_terminal_size(int fd, int *ret_width, int *ret_height)
{
        struct winsize size;
        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
                return false;
        *ret_width = size.ws_col;
        *ret_height = size.ws_row;
        return true;
}
