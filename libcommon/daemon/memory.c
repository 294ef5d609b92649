/* Memory that only the start of a daemon has needed. Main thread's loop. */
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"

#define SETTLE_AFTER (30 * KC_SEC)

static struct kc_timer *timer; /* the process has one main loop */

/* Code and constants of one object. The kernel maps 64 KiB around each page that is touched, so that start-up
 * (relocations, OpenSSL's tables, parsing) leaves nearly all of every library resident. */
static int forget_object(struct dl_phdr_info *o, size_t size, void *arg)
{
        uintptr_t page = *(const uintptr_t *)arg;
        (void)size;
        for (int i = 0; i < o->dlpi_phnum; i++) {
                const ElfW(Phdr) *p = &o->dlpi_phdr[i];
                if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
                        continue;
                uintptr_t from = (o->dlpi_addr + p->p_vaddr) & ~(page - 1);
                uintptr_t to = (o->dlpi_addr + p->p_vaddr + p->p_memsz + page - 1) & ~(page - 1);
                /* Never written, so nothing is lost; what is still used comes back from the page cache. */
                (void)madvise((void *)from, to - from, MADV_DONTNEED);
        }
        return 0;
}

static void settle(void *arg)
{
        (void)arg;
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        kc_timer_free(KC_TAKE(timer));
        (void)malloc_trim(0); /* whether there was something to give back does not matter */
        (void)dl_iterate_phdr(forget_object, &page);
        kc_log_v(4, "Gave back the memory of the start");
}

void kc_daemon_ready(struct kc_loop *loop)
{
        kc_daemon_notify("READY=1");
        timer = kc_timer_new(loop, settle, NULL);
        kc_timer_arm(timer, SETTLE_AFTER);
}

void kc_daemon_stopping(void)
{
        kc_timer_free(KC_TAKE(timer));
        kc_daemon_notify("STOPPING=1");
}
