/* The text exposition format's numbers and heads, and the process_* metrics. Any thread. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/metrics_internal.h"

const char *kc_metric_format(double v, char buf[static KC_METRIC_NUMBER_LEN])
{
        if (isnan(v))
                return strcpy(buf, "NaN");
        if (isinf(v))
                return strcpy(buf, v > 0 ? "+Inf" : "-Inf");
        /* The fewest digits that read back as v. */
        int digits = 1;
        for (; digits < 17; digits++) {
                (void)snprintf(buf, KC_METRIC_NUMBER_LEN, "%.*e", digits - 1, v);
                if (strtod(buf, NULL) == v)
                        break;
        }
        (void)snprintf(buf, KC_METRIC_NUMBER_LEN, "%.*e", digits - 1, v);
        int exponent = atoi(strchr(buf, 'e') + 1);
        if (exponent >= -4 && exponent < 6)
                (void)snprintf(buf, KC_METRIC_NUMBER_LEN, "%.*f", KC_MAX(0, digits - 1 - exponent), v);
        return buf;
}

void kc_metric_write_head(struct kc_buf *out, const char *name, const char *help, const char *type)
{
        kc_buf_addf(out, "# HELP %s ", name);
        for (const char *c = help; *c; c++) {
                if (*c == '\\')
                        kc_buf_adds(out, "\\\\");
                else if (*c == '\n')
                        kc_buf_adds(out, "\\n");
                else
                        kc_buf_addc(out, *c);
        }
        kc_buf_addf(out, "\n# TYPE %s %s\n", name, type);
}

static void write_one(struct kc_buf *out, const char *name, const char *help, const char *type, double v)
{
        char number[KC_METRIC_NUMBER_LEN];
        kc_metric_write_head(out, name, help, type);
        kc_buf_addf(out, "%s %s\n", name, kc_metric_format(v, number));
}

static double limit_of(int resource)
{
        struct rlimit l;
        if (getrlimit(resource, &l) < 0)
                return 0;
        /* RLIM_INFINITY as the Go collector shows it. */
        return (double)l.rlim_cur;
}

static size_t open_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        if (!d)
                return 0;
        size_t n = 0;
        while (readdir(d))
                n++;
        (void)closedir(d);        /* only read from */
        return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

/* Boot time in seconds since 1970. */
static double boot_time(void)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (kc_file_read("/proc/stat", 16 << 20, &b, NULL) < 0)
                return 0;
        const char *line = strstr(kc_buf_str(&b), "\nbtime ");
        return line ? strtod(line + strlen("\nbtime "), NULL) : 0;
}

void kc_metrics_write_process(struct kc_buf *out)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf stat = KC_BUF_INIT;
        if (kc_file_read("/proc/self/stat", 64 << 10, &stat, NULL) < 0)
                return;
        /* The second field, the command in parentheses, may hold anything: the fields are counted from its end. */
        const char *at = strrchr(kc_buf_str(&stat), ')');
        unsigned long utime = 0, stime = 0, vsize = 0;
        unsigned long long start = 0;
        long rss = 0;
        if (!at ||
            sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %llu %lu %ld",
                &utime, &stime, &start, &vsize, &rss) != 5)
                return;
        double ticks = (double)sysconf(_SC_CLK_TCK);
        write_one(out, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter",
            (double)(utime + stime) / ticks);
        write_one(out, "process_max_fds", "Maximum number of open file descriptors.", "gauge", limit_of(RLIMIT_NOFILE));
        write_one(out, "process_open_fds", "Number of open file descriptors.", "gauge", (double)open_fds());
        write_one(out, "process_resident_memory_bytes", "Resident memory size in bytes.", "gauge",
            (double)rss * (double)sysconf(_SC_PAGESIZE));
        write_one(out, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", "gauge",
            boot_time() + (double)start / ticks);
        write_one(out, "process_virtual_memory_bytes", "Virtual memory size in bytes.", "gauge", (double)vsize);
        write_one(out, "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
            "gauge", limit_of(RLIMIT_AS));
}
