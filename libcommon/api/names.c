/* Formats of names, keys and values. The regular expressions of upstream are hand-coded; its messages quote them. */
#include "api/names.h"

#include <string.h>

#include "api/validation.h"
#include "base/buf.h"
#include "base/mem.h"

/* apimachinery's RegexError. */
#define REGEX0(msg, fmt) msg " (regex used for validation is '" fmt "')"
#define REGEX1(msg, fmt, a) msg " (e.g. '" a "', regex used for validation is '" fmt "')"
#define REGEX2(msg, fmt, a, b) msg " (e.g. '" a "',  or '" b "', regex used for validation is '" fmt "')"
#define REGEX3(msg, fmt, a, b, c)                                                                                      \
        msg " (e.g. '" a "',  or '" b "',  or '" c "', regex used for validation is '" fmt "')"

#define LABEL_1123 "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define LABEL_1123_UNDERSCORE "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN_1123_MSG                                                                                             \
        REGEX1("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "   \
               "must start and end with an alphanumeric character",                                                    \
            LABEL_1123 "(\\." LABEL_1123 ")*", "example.com")
#define LABEL_KEY "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
#define LABEL_KEY_MSG                                                                                                  \
        REGEX3("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "             \
               "alphanumeric character",                                                                               \
            LABEL_KEY, "MyName", "my.name", "123-abc")

static void add(struct kc_why *why, const char *message)
{
        if (why->n < KC_ARRAY_LEN(why->v))
                why->v[why->n++] = message;
}

char *kc_why_join(const struct kc_why *why, const char *sep)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < why->n; i++) {
                if (i)
                        kc_buf_adds(&b, sep);
                kc_buf_adds(&b, why->v[i]);
        }
        return kc_buf_take_str(&b);
}

static bool is_lower(char c)
{
        return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
        return is_lower(c) || is_digit(c);
}

static bool is_alnum(char c)
{
        return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool all(const char *s, size_t n, bool (*ok)(char c), const char *others)
{
        for (size_t i = 0; i < n; i++) {
                if (!ok(s[i]) && !strchr(others, s[i]))
                        return false;
        }
        return true;
}

/* first, then any of middle and others, the last one as the first: "[f]([fo]*[f])?". */
static bool bracketed(const char *s, size_t n, bool (*ok)(char c), const char *others)
{
        return n > 0 && ok(s[0]) && ok(s[n - 1]) && all(s, n, ok, others);
}

static bool label_1123(const char *s, size_t n)
{
        return bracketed(s, n, is_lower_alnum, "-");
}

static bool label_1123_underscore(const char *s, size_t n)
{
        if (n > 0 && *s == '_') {
                s++;
                n--;
        }
        return bracketed(s, n, is_lower_alnum, "-_");
}

static bool every_label(const char *s, size_t len, bool (*ok)(const char *s, size_t n))
{
        for (const char *end = s + len;; s++) {
                const char *dot = memchr(s, '.', (size_t)(end - s));
                size_t n = (size_t)((dot ? dot : end) - s);
                if (!ok(s, n))
                        return false;
                if (!dot)
                        return true;
                s = dot;
        }
}

void kc_name_dns1123_label(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 63)
                add(why, "must be no more than 63 bytes");
        if (label_1123(s, n))
                return;
        if (every_label(s, n, label_1123))
                add(why, "must not contain dots");
        else
                add(why,
                    REGEX2("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
                           "must start and end with an alphanumeric character",
                        LABEL_1123, "my-name", "123-abc"));
}

void kc_name_dns1123_subdomain(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 253)
                add(why, "must be no more than 253 bytes");
        if (!every_label(s, n, label_1123))
                add(why, SUBDOMAIN_1123_MSG);
}

void kc_name_dns1123_subdomain_with_underscore(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 253)
                add(why, "must be no more than 253 bytes");
        if (!every_label(s, n, label_1123_underscore))
                add(why,
                    REGEX1("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', "
                           "'-' or '.', and must start and end with an alphanumeric character",
                        LABEL_1123_UNDERSCORE "(\\." LABEL_1123_UNDERSCORE ")*", "example.com"));
}

void kc_name_wildcard_dns1123_subdomain(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 253)
                add(why, "must be no more than 253 bytes");
        if (n < 3 || s[0] != '*' || s[1] != '.' || !every_label(s + 2, n - 2, label_1123))
                add(why,
                    REGEX1("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
                           "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
                           "alphanumeric character",
                        "\\*\\." LABEL_1123 "(\\." LABEL_1123 ")*", "*.example.com"));
}

void kc_name_dns1035_label(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 63)
                add(why, "must be no more than 63 bytes");
        if (!label_1123(s, n) || !is_lower(s[0]))
                add(why,
                    REGEX2("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                           "alphabetic character, and end with an alphanumeric character",
                        "[a-z]([-a-z0-9]*[a-z0-9])?", "my-name", "abc-123"));
}

static void label_key_prefix(const char *s, size_t n, struct kc_why *why)
{
        if (n == 0) {
                add(why, "prefix part must be non-empty");
                return;
        }
        if (n > 253)
                add(why, "prefix part must be no more than 253 bytes");
        if (!every_label(s, n, label_1123))
                add(why, "prefix part " SUBDOMAIN_1123_MSG);
}

void kc_name_label_key(const char *s, struct kc_why *why)
{
        const char *slash = strchr(s, '/');
        if (slash) {
                if (strchr(slash + 1, '/')) {
                        add(why, "a valid label key " LABEL_KEY_MSG
                                 " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
                        return;
                }
                label_key_prefix(s, (size_t)(slash - s), why);
                s = slash + 1;
        }
        size_t n = strlen(s);
        if (n == 0)
                add(why, "name part must be non-empty");
        else if (n > 63)
                add(why, "name part must be no more than 63 bytes");
        if (!bracketed(s, n, is_alnum, "-_."))
                add(why, "name part " LABEL_KEY_MSG);
}

void kc_name_label_value(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 63)
                add(why, "must be no more than 63 bytes");
        if (n > 0 && !bracketed(s, n, is_alnum, "-_."))
                add(why,
                    REGEX3("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                           "'.', and must start and end with an alphanumeric character",
                        "(" LABEL_KEY ")?", "MyValue", "my_value", "12345"));
}

void kc_name_path_segment_prefix(const char *s, struct kc_why *why)
{
        if (strchr(s, '/'))
                add(why, "may not contain '/'");
        if (strchr(s, '%'))
                add(why, "may not contain '%'");
}

void kc_name_path_segment(const char *s, struct kc_why *why)
{
        if (strcmp(s, ".") == 0)
                add(why, "may not be '.'");
        else if (strcmp(s, "..") == 0)
                add(why, "may not be '..'");
        else
                kc_name_path_segment_prefix(s, why);
}

void kc_name_env_var(const char *s, struct kc_why *why)
{
        if (!*s)
                add(why, "environment variable name must be non-empty");
        for (; *s; s++) {
                if (*s < 0x20 || *s > 0x7e || *s == '=') {
                        add(why,
                            "a valid environment variable name must consist only of printable ASCII characters other "
                            "than '='");
                        return;
                }
        }
}

void kc_name_config_map_key(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 253)
                add(why, "must be no more than 253 bytes");
        if (n == 0 || !all(s, n, is_alnum, "-._"))
                add(why, REGEX3("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                             "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"));
        if (strcmp(s, ".") == 0)
                add(why, "must not be '.'");
        else if (strcmp(s, "..") == 0)
                add(why, "must not be '..'");
        else if (strncmp(s, "..", 2) == 0)
                add(why, "must not start with '..'");
}

void kc_name_port(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n > 15)
                add(why, "must be no more than 15 bytes");
        if (n == 0 || !all(s, n, is_lower_alnum, "-"))
                add(why, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
        if (!s[strcspn(s, "abcdefghijklmnopqrstuvwxyz")])
                add(why, "must contain at least one letter (a-z)");
        if (strstr(s, "--"))
                add(why, "must not contain consecutive hyphens");
        if (n > 0 && (s[0] == '-' || s[n - 1] == '-'))
                add(why, "must not begin or end with a hyphen");
}

void kc_name_c_identifier(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n == 0 || is_digit(s[0]) || !all(s, n, is_alnum, "_"))
                add(why,
                    REGEX3("a valid C identifier must start with alphabetic character or '_', followed by a string of "
                           "alphanumeric characters or '_'",
                        "[A-Za-z_][A-Za-z0-9_]*", "my_name", "MY_NAME", "MyName"));
}

void kc_name_http_header(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n == 0 || !all(s, n, is_alnum, "-"))
                add(why, REGEX1("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                             "X-Header-Name"));
}

void kc_name_percent(const char *s, struct kc_why *why)
{
        size_t n = strlen(s);
        if (n < 2 || s[n - 1] != '%' || !all(s, n - 1, is_digit, ""))
                add(why, REGEX2("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%",
                             "1%", "93%"));
}

void kc_name_port_number(int64_t port, struct kc_why *why)
{
        if (port < 1 || port > 65535)
                add(why, "must be between 1 and 65535, inclusive");
}

void kc_name_unix_id(int64_t id, struct kc_why *why)
{
        if (id < 0 || id > UINT32_MAX)
                add(why, "must be between 0 and 4294967295, inclusive");
}

static const char *first(const char *s, void (*check)(const char *s, struct kc_why *why))
{
        struct kc_why why = {0};
        check(s, &why);
        return why.n ? why.v[0] : NULL;
}

const char *kc_validate_dns1123_subdomain(const char *s)
{
        return first(s, kc_name_dns1123_subdomain);
}

const char *kc_validate_dns1123_label(const char *s)
{
        return first(s, kc_name_dns1123_label);
}

const char *kc_validate_dns1035_label(const char *s)
{
        return first(s, kc_name_dns1035_label);
}

const char *kc_validate_qualified_name(const char *s)
{
        return first(s, kc_name_label_key);
}

const char *kc_validate_label_value(const char *s)
{
        return first(s, kc_name_label_value);
}

const char *kc_validate_path_segment_name(const char *s)
{
        return first(s, kc_name_path_segment);
}

const char *kc_validate_env_var_name(const char *s)
{
        return first(s, kc_name_env_var);
}

const char *kc_validate_config_map_key(const char *s)
{
        return first(s, kc_name_config_map_key);
}

const char *kc_validate_port_name(const char *s)
{
        return first(s, kc_name_port);
}
