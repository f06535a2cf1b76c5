// SPDX-License-Identifier: GPL-2.0-only
/* The parser of heads against another one, on samples and on mutants of them: http_oracle.h. */
#include "cmocka_all.h"
#include "http_mutate.h"
#include "http_oracle.h"

#define MUTANTS 300000

/* Returns true when both took it. */
static bool compare(const char *text, size_t length)
{
	bool both;
	const char *problem = oracle_judge(text, length, &both);

	if (!problem)
		return both;
	oracle_print(problem, text, length);
	fail_msg("%s", problem);
	return false;
}

static void test_samples(void **state)
{
	unsigned both = 0;

	(void)state;
	for (size_t i = 0; i < N_HTTP_SAMPLES; i++)
		both += compare(http_samples[i].text, http_samples[i].length);
	assert_true(both > 15);
}

static void test_mutants(void **state)
{
	static struct http_mutant mutant;
	struct rng r = rng_new();
	unsigned both = 0;

	(void)state;
	for (int i = 0; i < MUTANTS; i++) {
		mutant_new(&r, &mutant);
		both += compare(mutant.text, mutant.length);
	}
	assert_true(both > MUTANTS / 10); /* else it compares refusals only */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_mutants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
