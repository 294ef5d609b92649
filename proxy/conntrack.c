/* Forgets UDP flows of endpoints that are gone (UDP has no end of its own: a client that keeps its port would be sent
 * to a dead endpoint for as long as it sends). ctnetlink by libmnl: dump, compare, delete. Blocks: worker threads only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"
#include "proxy/nft.h"

struct tuple {
        char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
        int sport, dport, proto;
        const struct nlattr *attr; /* as it came, to be sent back in the deletion */
};

struct dump {
        int family;
        const struct kc_map *addresses, *endpoints;
        struct kc_buf doomed; /* copies of CTA_TUPLE_ORIG attributes, one after another */
};

static void parse_ip(const struct nlattr *nest, struct tuple *t)
{
        const struct nlattr *a;
        mnl_attr_for_each_nested(a, nest)
        {
                int type = mnl_attr_get_type(a);
                bool v4 = type == CTA_IP_V4_SRC || type == CTA_IP_V4_DST;
                bool source = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC;
                if (mnl_attr_get_payload_len(a) != (v4 ? 4 : 16))
                        continue;
                (void)inet_ntop(v4 ? AF_INET : AF_INET6, mnl_attr_get_payload(a), source ? t->src : t->dst,
                    INET6_ADDRSTRLEN); /* cannot fail: family and size are right */
        }
}

static void parse_proto(const struct nlattr *nest, struct tuple *t)
{
        const struct nlattr *a;
        mnl_attr_for_each_nested(a, nest)
        {
                switch (mnl_attr_get_type(a)) {
                case CTA_PROTO_NUM:
                        t->proto = mnl_attr_get_u8(a);
                        break;
                case CTA_PROTO_SRC_PORT:
                        t->sport = ntohs(mnl_attr_get_u16(a));
                        break;
                case CTA_PROTO_DST_PORT:
                        t->dport = ntohs(mnl_attr_get_u16(a));
                        break;
                default:
                        break;
                }
        }
}

static void parse_tuple(const struct nlattr *nest, struct tuple *t)
{
        const struct nlattr *a;
        t->attr = nest;
        mnl_attr_for_each_nested(a, nest)
        {
                if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
                        parse_ip(a, t);
                else if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
                        parse_proto(a, t);
        }
}

/* Of a Service whose address is this, and not of one of its endpoints. */
static bool is_stale(const struct dump *d, const char *address, const struct tuple *orig, const struct tuple *reply)
{
        char key[2 * INET6_ADDRSTRLEN + 32];
        (void)snprintf(key, sizeof(key), "%s %d", address, orig->dport);
        if (!kc_map_has(d->addresses, key))
                return false;
        (void)snprintf(key, sizeof(key), "%s %d %s %d", address, orig->dport, reply->src, reply->sport);
        return !kc_map_has(d->endpoints, key);
}

static int on_entry(const struct nlmsghdr *h, void *data)
{
        struct dump *d = data;
        struct tuple orig = {0}, reply = {0};
        const struct nlattr *a;

        mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
        {
                if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
                        parse_tuple(a, &orig);
                else if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY)
                        parse_tuple(a, &reply);
        }
        if (orig.proto != IPPROTO_UDP || !orig.attr || !reply.attr)
                return MNL_CB_OK;
        if (is_stale(d, orig.dst, &orig, &reply) || is_stale(d, "*", &orig, &reply))
                kc_buf_add(&d->doomed, orig.attr, MNL_ALIGN(orig.attr->nla_len));
        return MNL_CB_OK;
}

static struct nlmsghdr *request(char *buf, int family, int type, int flags, uint32_t seq)
{
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
        h->nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | type);
        h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
        h->nlmsg_seq = seq;
        struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
        g->nfgen_family = (uint8_t)family;
        g->version = NFNETLINK_V0;
        return h;
}

static int exchange(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
        char buf[32768];
        ssize_t n;
        int rc = MNL_CB_OK;

        if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
                return -errno;
        while (rc == MNL_CB_OK) {
                n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
                if (n < 0)
                        return -errno;
                rc = mnl_cb_run(buf, (size_t)n, h->nlmsg_seq, mnl_socket_get_portid(nl), cb, data);
        }
        return rc < 0 ? -errno : 0;
}

static int delete_doomed(struct mnl_socket *nl, const struct dump *d)
{
        char buf[1024];
        uint32_t seq = 2;

        for (size_t at = 0; at < d->doomed.len;) {
                const struct nlattr *a = (const struct nlattr *)(const void *)(d->doomed.data + at);
                struct nlmsghdr *h = request(buf, d->family, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq++);
                memcpy(mnl_nlmsg_get_payload_tail(h), a, a->nla_len);
                h->nlmsg_len += MNL_ALIGN(a->nla_len);
                int rc = exchange(nl, h, NULL, NULL);
                if (rc < 0 && rc != -ENOENT)
                        return rc;
                at += MNL_ALIGN(a->nla_len);
        }
        return 0;
}

int kc_conntrack_forget_udp(
    int family, const struct kc_map *addresses, const struct kc_map *endpoints, struct kc_error *err)
{
        char buf[MNL_NLMSG_HDRLEN + 64];
        struct dump d = {.family = family, .addresses = addresses, .endpoints = endpoints};
        struct mnl_socket *nl;
        int rc;

        if (kc_map_len(addresses) == 0)
                return 0;
        nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        if (!nl)
                return kc_error_set(err, errno, "cannot open a netlink socket: %s", strerror(errno));
        rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
        if (rc == 0)
                rc = exchange(nl, request(buf, family, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1), on_entry, &d);
        if (rc == 0)
                rc = delete_doomed(nl, &d);
        kc_buf_done(&d.doomed);
        mnl_socket_close(nl);
        return rc < 0 ? kc_error_set(err, -rc, "cannot delete conntrack entries: %s", strerror(-rc)) : 0;
}
