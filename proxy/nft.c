/* Runs transactions with libnftables and listens for other programs' changes on an nfnetlink socket (libmnl). The
 * kernel names the thread behind each generation, which tells our own changes from others'. */
#include "proxy/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

struct kc_nft {
        struct nft_ctx *ctx;
};

int kc_nft_new(struct kc_nft **ret, struct kc_error *err)
{
        struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
        if (!ctx || nft_ctx_buffer_output(ctx) != 0 || nft_ctx_buffer_error(ctx) != 0) {
                if (ctx)
                        nft_ctx_free(ctx);
                return kc_error_set(err, ENOMEM, "cannot make a context of libnftables");
        }
        *ret = KC_NEW(struct kc_nft);
        (*ret)->ctx = ctx;
        return 0;
}

void kc_nft_free(struct kc_nft *n)
{
        nft_ctx_free(n->ctx);
        kc_free(n);
}

int kc_nft_run(struct kc_nft *n, const char *commands, struct kc_error *err)
{
        if (nft_run_cmd_from_buffer(n->ctx, commands) == 0)
                return 0;
        const char *text = nft_ctx_get_error_buffer(n->ctx);
        const char *end = text ? strchr(text, '\n') : NULL;
        return kc_error_set(err, EIO, "nft: %.*s", end ? (int)(end - text) : 512, text ? text : "unknown error");
}

static void affinity_of_set(const struct json_object *set, char ***ret_lines)
{
        const char *name = kc_json_str(set, "name");
        const struct json_object *list = kc_json_get(set, "elem");

        if (!name || !kc_str_has_prefix(name, "clients-"))
                return;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *e = kc_json_get(kc_json_idx(list, i), "elem");
                const char *address = kc_json_str(e, "val");
                int64_t left = kc_json_int(e, "expires", 0);
                if (address && left > 0)
                        kc_strv_pushf(ret_lines, "%s\t%s\t%lld", name, address, (long long)left);
        }
}

void kc_nft_affinity(struct kc_nft *n, int family, char ***ret_lines)
{
        const char *command = family == AF_INET ? "list table ip kube-proxy" : "list table ip6 kube-proxy";
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;

        nft_ctx_output_set_flags(n->ctx, NFT_CTX_OUTPUT_JSON);
        int rc = nft_run_cmd_from_buffer(n->ctx, command);
        const char *text = nft_ctx_get_output_buffer(n->ctx);
        nft_ctx_output_set_flags(n->ctx, 0);
        /* No table, or nothing that can be read: the clients are chosen anew. */
        if (rc != 0 || !text || kc_json_parse(text, strlen(text), NULL, &tree, NULL) < 0)
                return;
        const struct json_object *list = kc_json_get(tree, "nftables");
        for (size_t i = 0; i < kc_json_len(list); i++)
                affinity_of_set(kc_json_get(kc_json_idx(list, i), "set"), ret_lines);
}

struct kc_nft_watch {
        struct mnl_socket *nl;
        struct kc_io *io;
        void (*fn)(void *arg);
        void *arg;
        bool ours_hurt; /* something of a kube-proxy table was deleted in the generation being read */
};

static bool is_our_table(const struct nlmsghdr *h, uint16_t table_attr)
{
        const struct nlattr *a;
        mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(a) == table_attr &&
                                                             mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >=
                                                                 0) return strcmp(mnl_attr_get_str(a), "kube-proxy") ==
            0;
        return false;
}

/* Our own changes: the kernel tells the name of the thread that made them, and our pool's threads bear ours. (Its
 * number would be one of another PID namespace in a container.) */
static bool is_ours(const struct nlmsghdr *h)
{
        const struct nlattr *a;
        mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(a) == NFTA_GEN_PROC_NAME &&
                                                             mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >=
                                                                 0) return strncmp(mnl_attr_get_str(a),
            KC_NFT_THREAD_NAME, strlen(KC_NFT_THREAD_NAME)) == 0;
        return false;
}

static int on_message(const struct nlmsghdr *h, void *data)
{
        struct kc_nft_watch *w = data;

        if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
                return MNL_CB_OK;
        switch (h->nlmsg_type & 0xff) {
        case NFT_MSG_DELTABLE:
                w->ours_hurt |= is_our_table(h, NFTA_TABLE_NAME);
                break;
        case NFT_MSG_DELCHAIN:
                w->ours_hurt |= is_our_table(h, NFTA_CHAIN_TABLE);
                break;
        case NFT_MSG_DELRULE:
                w->ours_hurt |= is_our_table(h, NFTA_RULE_TABLE);
                break;
        case NFT_MSG_DELSETELEM:
                w->ours_hurt |= is_our_table(h, NFTA_SET_ELEM_LIST_TABLE);
                break;
        case NFT_MSG_NEWGEN:
                if (w->ours_hurt && !is_ours(h))
                        w->fn(w->arg);
                w->ours_hurt = false;
                break;
        default:
                break;
        }
        return MNL_CB_OK;
}

static void on_readable(int fd, int events, void *arg)
{
        struct kc_nft_watch *w = arg;
        char buf[16384];
        ssize_t n;

        (void)fd, (void)events;
        while ((n = mnl_socket_recvfrom(w->nl, buf, sizeof(buf))) > 0)
                (void)mnl_cb_run(
                    buf, (size_t)n, 0, 0, on_message, w); /* a message that it cannot read changes nothing */
        /* Messages were lost: assume the worst. */
        if (n < 0 && errno == ENOBUFS)
                w->fn(w->arg);
}

int kc_nft_watch_new(
    struct kc_loop *loop, void (*fn)(void *arg), void *arg, struct kc_nft_watch **ret, struct kc_error *err)
{
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int group = NFNLGRP_NFTABLES;

        if (!nl)
                return kc_error_set(err, errno, "cannot open a netlink socket: %s", strerror(errno));
        if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
            mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
                int e = errno;
                mnl_socket_close(nl);
                return kc_error_set(err, e, "cannot listen for changes of nftables: %s", strerror(e));
        }
        struct kc_nft_watch *w = KC_NEW(struct kc_nft_watch);
        *w = (struct kc_nft_watch){.nl = nl, .fn = fn, .arg = arg};
        w->io = kc_io_new(loop, mnl_socket_get_fd(nl), KC_IO_READ, on_readable, w);
        *ret = w;
        return 0;
}

void kc_nft_watch_free(struct kc_nft_watch *w)
{
        kc_io_free(w->io);
        mnl_socket_close(w->nl);
        kc_free(w);
}
