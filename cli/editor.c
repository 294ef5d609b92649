/* Launching an editor. Main thread. */
#include "cli/editor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/stream/terminal.h"

enum { MAX_FILE = 64 << 20, NOT_THERE = 127 };

/* The words of the editor; by the shell when it has quotes. */
static char **editor_words(const char *editor, const char *path)
{
        char **words = NULL;
        if (strpbrk(editor, "\"'\\")) {
                const char *shell = getenv("SHELL");
                kc_strv_push(&words, kc_str_empty(shell) ? "/bin/bash" : shell);
                kc_strv_push(&words, "-c");
                kc_strv_pushf(&words, "%s \"%s\"", editor, path);
                return words;
        }
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(editor, ' ');
        for (char **p = parts; *p; p++)
                kc_strv_push(&words, *p);
        kc_strv_push(&words, path);
        return words;
}

static int launch(struct kc_cli *c, const char *path, struct kc_error *err)
{
        const char *editor = getenv("KUBE_EDITOR");
        if (kc_str_empty(editor))
                editor = getenv("EDITOR");
        if (kc_str_empty(editor))
                editor = "vi";
        KC_CLEANUP(kc_strv_freep) char **words = editor_words(editor, path);
        (void)fflush(c->out);
        bool guarded = kc_terminal_guard(fileno(c->in), false) == 0;
        pid_t pid = fork();
        if (pid == 0) {
                kc_terminal_forget();
                execvp(words[0], words);
                _exit(NOT_THERE);
        }
        int status = 0;
        pid_t w = pid;
        while (pid > 0 && (w = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
                continue;
        if (guarded)
                kc_terminal_restore();
        if (pid < 0 || w < 0)
                return kc_error_set(err, EAGAIN, "fork: %s", strerror(errno));
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_THERE && !strchr(words[0], '/'))
                return kc_error_set(err, ENOENT, "unable to launch the editor \"%s\"", editor);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return kc_error_set(err, ECHILD, "there was a problem with the editor \"%s\"", editor);
        return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
        while (len > 0) {
                ssize_t n = write(fd, text, len);
                if (n < 0 && errno != EINTR)
                        return -errno;
                text += KC_MAX(n, 0);
                len -= (size_t)KC_MAX(n, 0);
        }
        return 0;
}

int kc_editor_edit(struct kc_cli *c, const char *text, size_t len, const char *suffix, struct kc_buf *ret_text,
    char **ret_path, struct kc_error *err)
{
        const char *dir = getenv("TMPDIR");
        KC_CLEANUP(kc_freep)
        char *path = kc_asprintf("%s/%s-edit-XXXXXX%s", kc_str_empty(dir) ? "/tmp" : dir, c->program, suffix);
        int fd = mkstemps(path, (int)strlen(suffix));
        if (fd < 0)
                return kc_error_set(err, EBADF, "open %s: %s", path, strerror(errno));
        int e = write_all(fd, text, len);
        if (close(fd) < 0 && e == 0)
                e = -errno;
        if (e < 0)
                return kc_error_set(err, EBADF, "write %s: %s", path, strerror(-e));
        e = launch(c, path, err);
        kc_buf_reset(ret_text);
        if (e == 0)
                e = kc_file_read(path, MAX_FILE, ret_text, err);
        kc_free(*ret_path);
        *ret_path = KC_TAKE(path);
        return e;
}
