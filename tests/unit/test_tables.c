// SPDX-License-Identifier: GPL-2.0-only
/*
 * The classification tables against the judge: what a program of the kernel side makes of
 * the tables must be, slot for slot, what filter_accepts says.
 */
#include <stdio.h>

#include "cmocka_all.h"
#include "collector/tables.h"
#include "filter_build.h"
#include "rng.h"

#define ROUNDS 1500
#define ROWS   60 /* per round */

/* ------------------------------------------- small pools, so that much matches */

static const uint16_t port_pool[] = {0, 1, 22, 80, 81, 443, 8080, 65535};
static const char *const v4_pool[] = {"10.0.0.1", "10.0.0.2",  "10.1.2.3",
				      "0.0.0.0",  "127.0.0.1", "255.255.255.255"};
static const char *const v6_pool[] = {"::1",	     "::",	"2001:db8::1", "2001:db8:8000::1",
				      "fe80::a00:1", "a00:1::", "ffff::"};
static const uint8_t length_pool[] = {0, 1, 7, 8, 9, 24, 31, 32, 33, 64, 127, 128};
static const uint32_t number_pool[] = {0, 1, 2, 1000, 1001, 65534, UINT32_MAX};
static const uint64_t id_pool[] = {1, 2, 3, 0x100000001, 0x100000002, UINT64_MAX};
static const char *const name_pool[] = {"a", "b", "ab", "curl", "fifteen-bytes-a", "\xff\x01"};

#define PICK(rng, pool) ((pool)[rng_below((rng), sizeof(pool) / sizeof((pool)[0]))])

static enum build_list random_list(struct rng *rng)
{
	return rng_one_in(rng, 3) ? NONE : ANY;
}

static void random_ports(struct rng *rng, struct build *b)
{
	Netwatch__PortSet **sets[] = {&b->filter.lport, &b->filter.rport, &b->filter.port};

	for (uint32_t n = 1 + rng_below(rng, 4); n; n--) {
		uint16_t first = PICK(rng, port_pool), last = PICK(rng, port_pool);

		if (rng_one_in(rng, 2))
			last = first;
		if (first && last >= first)
			build_range(b, PICK(rng, sets), random_list(rng), first, last);
	}
}

static void random_prefixes(struct rng *rng, struct build *b)
{
	Netwatch__PrefixSet **sets[] = {&b->filter.laddr, &b->filter.raddr, &b->filter.addr};

	for (uint32_t n = 1 + rng_below(rng, 4); n; n--) {
		const char *address = rng_one_in(rng, 2) ? PICK(rng, v4_pool) : PICK(rng, v6_pool);
		Netwatch__Prefix *prefix =
			build_prefix(b, PICK(rng, sets), random_list(rng), address);

		prefix->length = PICK(rng, length_pool);
		prefix->has_length = prefix->length <= prefix->address.len * 8;
	}
}

static void random_values(struct rng *rng, struct build *b)
{
	Netwatch__NumberSet **sets[] = {&b->filter.uid, &b->filter.pid, &b->filter.netns};

	for (uint32_t n = 1 + rng_below(rng, 3); n; n--) {
		enum build_list list = random_list(rng);
		uint32_t kind = rng_below(rng, 5);

		if (kind == 3)
			build_name(b, &b->filter.comm, list, PICK(rng, name_pool));
		else if (kind == 4)
			build_number(b, &b->filter.cgroup, list, PICK(rng, id_pool));
		else
			build_number(b, sets[kind], list, PICK(rng, number_pool));
	}
}

static struct filter *random_filter(struct rng *rng)
{
	static struct build b;
	struct filter *filter = malloc(sizeof(*filter));
	struct filter_error error;

	assert_non_null(filter);
	build_init(&b);
	if (rng_one_in(rng, 2))
		random_ports(rng, &b);
	if (rng_one_in(rng, 2))
		random_prefixes(rng, &b);
	if (rng_one_in(rng, 2))
		random_values(rng, &b);
	if (rng_one_in(rng, 4))
		build_family(&b, rng_one_in(rng, 2) ? 4 : 6);
	for (uint32_t n = rng_one_in(rng, 4) ? 1 + rng_below(rng, 2) : 0; n; n--)
		build_role(&b, 1 + (int)rng_below(rng, 2));
	assert_int_equal(build_parse(&b, filter, &error), 0);
	filter->scope = rng_one_in(rng, 3) ? rng_below(rng, NETWATCH__SCOPE__ALL_WITH_HTTP + 1)
					   : NETWATCH__SCOPE__ALL;
	if (filter->scope == NETWATCH__SCOPE__OWN)
		filter->owner = PICK(rng, number_pool);
	return filter;
}

static void random_row(struct rng *rng, struct nw_row *row)
{
	struct nw_connection *c = &row->connection;

	memset(row, 0, sizeof(*row));
	c->family = rng_one_in(rng, 2) ? 4 : 6;
	if (c->family == 4) {
		inet_pton(AF_INET, PICK(rng, v4_pool), c->laddr);
		inet_pton(AF_INET, PICK(rng, v4_pool), c->raddr);
	} else {
		inet_pton(AF_INET6, PICK(rng, v6_pool), c->laddr);
		inet_pton(AF_INET6, PICK(rng, v6_pool), c->raddr);
	}
	c->lport = PICK(rng, port_pool);
	c->rport = PICK(rng, port_pool);
	c->uid = PICK(rng, number_pool);
	c->netns = PICK(rng, number_pool);
	c->role = (uint8_t)rng_below(rng, NW_ROLES);
	c->owner = (uint8_t)rng_below(rng, NW_OWNER_USED_SOCKET + 1);
	c->pid = PICK(rng, number_pool); /* stale when the owner is unknown */
	strcpy(c->comm, PICK(rng, name_pool));
	for (uint32_t i = 0, n = rng_below(rng, NW_ANCESTORS + 1); i < n; i++)
		row->ancestors[i] = PICK(rng, id_pool);
	c->cgroup = row->ancestors[0];
}

/* -------------------------- nw_classify of bpf/classify.bpf.h, over lists for maps */

struct side {
	uint8_t number;
	struct nw_side words;
	struct tables_list prefixes, values;
	struct nw_ends *ports;
};

static bool same_bits(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	for (uint32_t i = 0; i < bits; i++) {
		if ((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8)
			return false;
	}
	return true;
}

/* As BPF_MAP_TYPE_LPM_TRIE: the longest entry that is a prefix of the key. */
static const struct nw_ends *trie(const struct side *s, uint8_t family, const uint8_t *address)
{
	struct nw_prefix key = {.side = s->number, .family = family};
	const struct tables_entry *best = NULL;

	key.length = family == 4 ? 64 : 160;
	memcpy(key.address, address, sizeof(key.address));
	for (size_t i = 0; i < s->prefixes.n; i++) {
		const struct tables_entry *e = &s->prefixes.entry[i];

		if (e->prefix.length <= key.length &&
		    same_bits(&e->prefix.side, &key.side, e->prefix.length) &&
		    (!best || e->prefix.length > best->prefix.length))
			best = e;
	}
	return best ? &best->ends : &s->words.prefixes;
}

static const struct nw_words *hash(const struct side *s, uint8_t dimension, const void *value,
				   size_t size)
{
	struct nw_value key = {.side = s->number, .dimension = dimension};

	memcpy(key.value, value, size);
	for (size_t i = 0; i < s->values.n; i++) {
		if (!memcmp(&s->values.entry[i].value, &key, sizeof(key)))
			return &s->values.entry[i].words;
	}
	return NULL;
}

static uint64_t classify_value(const struct side *s, uint8_t dimension, const void *value,
			       size_t size)
{
	const struct nw_words *words;

	if (!(s->words.used & 1ULL << dimension))
		return ~0ULL;
	words = hash(s, dimension, value, size);
	return words ? words->any : s->words.other[dimension];
}

static uint64_t classify_owner(const struct side *s, const struct nw_connection *c)
{
	if (!c->owner)
		return s->words.unknown[NW_PID] & s->words.unknown[NW_COMM];
	return classify_value(s, NW_PID, &c->pid, sizeof(c->pid)) &
	       classify_value(s, NW_COMM, c->comm, sizeof(c->comm));
}

static uint64_t classify_ports(const struct side *s, const struct nw_connection *c)
{
	const struct nw_ends *l = &s->ports[c->lport], *r = &s->ports[c->rport];

	if (!(s->words.used & NW_USED_PORTS))
		return ~0ULL;
	return (l->local | s->words.ports.local) & (r->remote | s->words.ports.remote) &
	       (l->either | r->either | s->words.ports.either);
}

static uint64_t classify_prefixes(const struct side *s, const struct nw_connection *c)
{
	const struct nw_ends *l = trie(s, c->family, c->laddr), *r = trie(s, c->family, c->raddr);

	if (!(s->words.used & NW_USED_PREFIXES))
		return ~0ULL;
	return l->local & r->remote & (l->either | r->either);
}

static uint64_t classify_cgroup(const struct side *s, const struct nw_row *row)
{
	uint64_t any = s->words.other[NW_CGROUP], none = 0;

	if (!(s->words.used & 1ULL << NW_CGROUP))
		return ~0ULL;
	for (int i = 0; i < NW_ANCESTORS && row->ancestors[i]; i++) {
		const struct nw_words *words =
			hash(s, NW_CGROUP, &row->ancestors[i], sizeof(row->ancestors[i]));

		any |= words ? words->any : 0;
		none |= words ? words->none : 0;
	}
	return any & ~none;
}

static uint64_t classify(const struct side *s, const struct nw_row *row)
{
	const struct nw_connection *c = &row->connection;

	return s->words.role[c->role] & s->words.family[c->family == 6] & classify_owner(s, c) &
	       classify_value(s, NW_UID, &c->uid, sizeof(c->uid)) &
	       classify_value(s, NW_NETNS, &c->netns, sizeof(c->netns)) & classify_ports(s, c) &
	       classify_prefixes(s, c) & classify_cgroup(s, row);
}

/* ------------------------------------------------------------------- the test */

static struct filter *filters[NW_SLOTS];

/* Its ports are written in place; those of other slots stay. */
static void set_slot(struct nw_ends *ports, unsigned slot, struct filter *filter)
{
	if (filters[slot])
		tables_ports(ports, filters[slot], slot, 0);
	free(filters[slot]);
	filters[slot] = filter;
	if (filter)
		tables_ports(ports, filter, slot, 1);
}

static void change_slots(struct rng *rng, struct nw_ends *ports, uint64_t n)
{
	while (n--)
		set_slot(ports, rng_below(rng, NW_SLOTS),
			 rng_one_in(rng, 8) ? NULL : random_filter(rng));
}

static void clear_slots(struct nw_ends *ports)
{
	for (unsigned slot = 0; slot < NW_SLOTS; slot++)
		set_slot(ports, slot, NULL);
	for (size_t i = 0; i < NW_PORTS; i++) {
		if (ports[i].local | ports[i].remote | ports[i].either)
			fail_msg("port %zu is left over", i);
	}
}

static void make_side(struct side *s, uint8_t number)
{
	const struct filter *const *all = (const struct filter *const *)filters;

	s->number = number;
	assert_int_equal(tables_prefixes(&s->prefixes, all, number), 0);
	assert_int_equal(tables_values(&s->values, all, number), 0);
	tables_words(&s->words, all);
	for (size_t i = 1; i < s->prefixes.n; i++)
		assert_true(memcmp(s->prefixes.entry[i - 1].key, s->prefixes.entry[i].key, 24) < 0);
	for (size_t i = 1; i < s->values.n; i++)
		assert_true(memcmp(s->values.entry[i - 1].key, s->values.entry[i].key, 24) < 0);
}

/* Returns how many slots accepted the row. */
static int check_row(const struct side *s, const struct nw_row *row)
{
	uint64_t mask = classify(s, row), judged = 0;

	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		if (filters[slot] && filter_accepts(filters[slot], row))
			judged |= 1ULL << slot;
	}
	if (mask != judged)
		fail_msg("slot %d: tables and judge disagree", __builtin_ctzll(mask ^ judged));
	return __builtin_popcountll(judged);
}

static void test_tables_and_judge_agree(void **state)
{
	struct side s = {.ports = calloc(NW_PORTS, sizeof(struct nw_ends))};
	struct rng rng = rng_new();
	unsigned long accepted = 0, n = 0;

	(void)state;
	assert_non_null(s.ports);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round % 10 == 0) { /* few slots and many */
			clear_slots(s.ports);
			change_slots(&rng, s.ports, rng_any_length(&rng, 8));
		}
		change_slots(&rng, s.ports, 1 + rng_below(&rng, 2));
		make_side(&s, round & 1);
		for (int i = 0; i < ROWS; i++, n++) {
			struct nw_row row;

			random_row(&rng, &row);
			accepted += (unsigned long)check_row(&s, &row);
		}
		free(s.prefixes.entry);
		free(s.values.entry);
	}
	assert_true(accepted > n / 2 && accepted < n * NW_SLOTS / 2);
	clear_slots(s.ports);
	free(s.ports);
}

/* The largest filters in all slots still fit the kernel's maps, both sides of them. */
static void test_full(void **state)
{
	struct nw_ends *ports = calloc(NW_PORTS, sizeof(*ports));
	struct rng rng = rng_new();
	struct filter *full = calloc(NW_SLOTS, sizeof(*full));
	struct side s = {.ports = ports};

	(void)state;
	assert_true(ports && full);
	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		struct filter_error error;

		filters[slot] = &full[slot];
		assert_int_equal(filter_parse(&full[slot], NULL, &error), 0);
		for (int d = 0; d < NW_DIMENSIONS; d++) {
			full[slot].values[d].any = FILTER_VALUES_MAX;
			rng_fill(&rng, full[slot].values[d].item,
				 sizeof(full[slot].values[d].item));
		}
		full[slot].prefixes[FILTER_EITHER].any = FILTER_PREFIXES_MAX;
		for (uint32_t i = 0; i < FILTER_PREFIXES_MAX; i++) {
			full[slot].prefixes[FILTER_EITHER].item[i].family = 6;
			full[slot].prefixes[FILTER_EITHER].item[i].length = 128;
			rng_fill(&rng, full[slot].prefixes[FILTER_EITHER].item[i].address, 16);
		}
		full[slot].scope = NETWATCH__SCOPE__OWN;
		full[slot].owner = slot;
	}
	make_side(&s, 1);
	assert_int_equal(s.prefixes.n, NW_SLOTS * FILTER_PREFIXES_MAX);
	assert_int_equal(s.values.n, NW_SLOTS * (NW_DIMENSIONS * FILTER_VALUES_MAX + 1));
	assert_true(2 * s.prefixes.n <= 16384 && 2 * s.values.n <= 65536); /* max_entries */
	free(s.prefixes.entry);
	free(s.values.entry);
	free(full);
	free(ports);
	memset(filters, 0, sizeof(filters));
}

static void test_empty(void **state)
{
	struct nw_side zero = {.used = 0};
	struct side s;

	(void)state;
	make_side(&s, 0);
	assert_int_equal(s.prefixes.n + s.values.n, 0);
	assert_memory_equal(&s.words, &zero, sizeof(zero));
	free(s.prefixes.entry);
	free(s.values.entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_and_judge_agree),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
