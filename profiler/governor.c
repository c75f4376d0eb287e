/* SPDX-License-Identifier: Apache-2.0 */
/* See governor.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "clock.h"
#include "governor.h"
#include "kernel.h"
#include "message.h"

#define SECOND_NS	 1000000000ull
#define LEAST_NS	 20e6 /* at a time, attached or not: attaching takes some 10 ms */
#define ATTACHED_MIN_NS	 60e6 /* in the mean */
#define ATTACHED_MAX_NS	 500e6
#define LONGEST		 5 /* times the mean */
#define CYCLE_NS	 SECOND_NS
#define USUAL_HZ	 99.0 /* samples beyond that are asked for, and come on top of the budget */
#define FIRST_NS	 250000000ull /* until the first look at what it costs */
#define SMOOTH_NS	 5e9
#define STARTING_NS	 (5 * SECOND_NS) /* this process reads symbols and the like: it will not always cost as much */
#define DUTY_MIN	 0.02
#define DUTY_FULL	 0.95 /* from here on it is not worth detaching */
#define GOAL		 0.9  /* of the budget: what attaching does to others is not measured */
#define HOOKS_LEAST	 0.15 /* of that */
#define OWN_MOST	 0.3  /* likewise: what more this process takes, no sample less would mend */
#define THINNING_LEAST	 0.5
#define THINNING_CPU	 0.25 /* targets that use less of a CPU keep all samples: they are few, and take little of the machine */
#define ATTACHING_NS	 10e6 /* about */
#define FASTER_MAX	 40   /* times the frequency that was asked for */
#define FASTEST_HZ	 4000 /* beyond, a target would hardly run while the hook is attached */
#define CPU_FLOOR	 0.05 /* targets that use less than this much of a CPU count as using it */
#define JITTER		 0.1 /* other timers are met in all their phases within seconds, about as evenly as by chance */
#define BETWEEN_FACTOR	 8 /* periods longer: samples from then carry no request, and count only where there are few others */

/* Uniform, from 0 to 1. */
static double chance(void)
{
	uint32_t bits = 0;

	getrandom(&bits, sizeof(bits), GRND_NONBLOCK);
	return bits / (double)UINT32_MAX;
}

/* --- what it costs --- */

static void read_costs(const struct governor *g, uint64_t now_ns, struct costs *out)
{
	uint64_t counters[N_COUNTERS];

	kernel_counters(g->kernel, counters);
	*out = (struct costs){
		.elapsed_ns = now_ns - g->start_ns,
		.target_ns = counters[COUNTER_TARGET_NS],
		.runs = counters[COUNTER_RECEIVES],
		.others = counters[COUNTER_RECEIVES_OF_OTHERS],
		.sample_ns = counters[COUNTER_SAMPLE_NS],
		.own_ns = own_cpu_ns(false),
	};
}

static void add(struct costs *sum, const struct costs *more)
{
	sum->elapsed_ns += more->elapsed_ns;
	sum->attached_ns += more->attached_ns;
	sum->target_ns += more->target_ns;
	sum->target_attached_ns += more->target_attached_ns;
	sum->runs += more->runs;
	sum->others += more->others;
	sum->sample_ns += more->sample_ns;
	sum->samples += more->samples;
	sum->own_ns += more->own_ns;
}

static void fade(struct costs *c, double factor)
{
	c->elapsed_ns *= factor;
	c->attached_ns *= factor;
	c->target_ns *= factor;
	c->target_attached_ns *= factor;
	c->runs *= factor;
	c->others *= factor;
	c->sample_ns *= factor;
	c->samples *= factor;
	c->own_ns *= factor;
}

/* Before the hook is attached or detached, and once a second. */
static void measure(struct governor *g, uint64_t now_ns)
{
	struct costs now, delta;

	read_costs(g, now_ns, &now);
	delta = (struct costs){
		.elapsed_ns = now.elapsed_ns - g->seen.elapsed_ns,
		.target_ns = now.target_ns - g->seen.target_ns,
		.runs = now.runs - g->seen.runs,
		.others = now.others - g->seen.others,
		.sample_ns = now.sample_ns - g->seen.sample_ns,
		.samples = (now.target_ns - g->seen.target_ns) / g->used_ns, /* those that were skipped, too */
		.own_ns = now.own_ns - g->seen.own_ns,
	};
	if (g->attached) {
		delta.attached_ns = delta.elapsed_ns;
		delta.target_attached_ns = delta.target_ns;
	}
	g->seen = now;
	g->measured_ns = now_ns;
	add(&g->total, &delta);
	if (now_ns - g->start_ns < STARTING_NS)
		delta.own_ns = 0;
	fade(&g->smooth, exp(-delta.elapsed_ns / SMOOTH_NS));
	add(&g->smooth, &delta);
}

static double hook_ns(const struct governor *g, const struct costs *c)
{
	return c->runs * g->calibration.run_ns + c->others * g->calibration.other_ns;
}

/* Parts of the targets' CPU; of the hook, what it costs while it is attached. */
static void shares(const struct governor *g, const struct costs *c, struct governor_report *out)
{
	double target_ns = fmax(c->target_ns, CPU_FLOOR * c->elapsed_ns);
	double attached_ns = fmax(c->target_attached_ns, CPU_FLOOR * c->attached_ns);

	*out = (struct governor_report){.budget = g->budget};
	if (target_ns <= 0)
		return;
	out->duty = c->attached_ns / c->elapsed_ns;
	out->hook = attached_ns > 0 ? hook_ns(g, c) / attached_ns : 0;
	out->samples = (c->sample_ns + c->samples * DISTURBANCE * g->calibration.sample_ns) / target_ns;
	out->own = c->own_ns / target_ns;
}

/* As it came out lately: what is wanted changes from phase to phase. */
static double real_duty(const struct governor *g)
{
	return g->smooth.elapsed_ns > 0 ? fmax(g->smooth.attached_ns / g->smooth.elapsed_ns, DUTY_MIN) : g->duty;
}

static double wanted_duty(const struct governor *g, const struct governor_report *r)
{
	double goal = GOAL * g->budget, left = fmax(goal - r->samples * g->usual - r->own, HOOKS_LEAST * goal);

	if (g->fixed_duty > 0)
		return g->fixed_duty;
	if (r->hook <= left || g->budget >= 1)
		return 1;
	return fmax(left / r->hook, DUTY_MIN);
}

static double wanted_thinning(const struct governor *g, const struct governor_report *r)
{
	double taken = g->smooth.samples * g->period_ns / fmax(g->smooth.target_ns, 1); /* of those asked for */
	double wanted = 1 + (1 - real_duty(g)) / BETWEEN_FACTOR;
	double goal = GOAL * g->budget, room = goal * (1 - HOOKS_LEAST) - fmin(r->own, OWN_MOST * goal);

	if (g->fixed_duty > 0 || taken <= 0 || r->samples <= 0 || g->smooth.target_ns < THINNING_CPU * g->smooth.elapsed_ns)
		return 1;
	return fmin(fmax(room / (r->samples * g->usual * wanted / taken), THINNING_LEAST), 1);
}

void governor_report(const struct governor *g, bool now, struct governor_report *out)
{
	const struct costs *c = now ? &g->smooth : &g->total;
	double target_ns = fmax(c->target_ns, CPU_FLOOR * c->elapsed_ns);

	shares(g, c, out);
	out->thinning = g->thinning;
	out->hook = target_ns > 0 ? hook_ns(g, c) / target_ns : 0;
	if (kernel_hook(g->kernel) == HOOK_NONE)
		out->duty = 0;
}

/* --- when it is attached --- */

/* Every other one makes up for the one before, so that as many samples are taken as were asked for. */
static double jitter(struct governor *g)
{
	g->makes_up = !g->makes_up;
	g->jitter = g->makes_up ? -g->jitter : JITTER * (2 * chance() - 1);
	return g->jitter;
}

static void set_period(struct governor *g, uint64_t now_ns)
{
	double period = g->period_ns;

	period *= (g->attached ? real_duty(g) : BETWEEN_FACTOR) / g->thinning;
	period *= 1 + jitter(g);
	g->jittered_ns = now_ns;
	g->used_ns = fmax(period, g->fastest_ns);
	kernel_set_period(g->kernel, g->used_ns);
}

static void begin_phase(struct governor *g, uint64_t now_ns)
{
	g->attached = true;
	g->phases[g->n_phases++ % GOVERNOR_PHASES] = (struct hook_phase){now_ns, UINT64_MAX};
}

static double attached_ns(const struct governor *g)
{
	return fmin(fmax(g->duty * CYCLE_NS, ATTACHED_MIN_NS), ATTACHED_MAX_NS);
}

uint64_t governor_phase_ns(double mean_ns)
{
	double more_ns = mean_ns > LEAST_NS ? mean_ns - LEAST_NS : 0;

	return fmin(mean_ns - more_ns - more_ns * log(1 - chance() * 0.999), LONGEST * mean_ns);
}

static void attach(struct governor *g, uint64_t now_ns)
{
	if (kernel_attach_hook(g->kernel)) {
		message_verbose("the receive hook cannot be attached again");
		g->until_ns = now_ns + SECOND_NS;
		return;
	}
	now_ns = monotonic_ns(); /* it took a while */
	begin_phase(g, now_ns);
	g->until_ns = now_ns + governor_phase_ns(attached_ns(g));
	set_period(g, now_ns);
}

static void detach(struct governor *g, uint64_t now_ns)
{
	struct hook_phase *phase = &g->phases[(g->n_phases - 1) % GOVERNOR_PHASES];

	kernel_detach_hook(g->kernel);
	g->attached = false;
	phase->to_ns = now_ns;
	g->until_ns = now_ns + governor_phase_ns(fmax(attached_ns(g) * (1 - g->duty) / g->duty - ATTACHING_NS, LEAST_NS));
	set_period(g, now_ns);
}

static void decide(struct governor *g, uint64_t now_ns)
{
	double before = g->duty;
	struct governor_report r;

	measure(g, now_ns);
	shares(g, &g->smooth, &r);
	g->duty = wanted_duty(g, &r);
	g->thinning = wanted_thinning(g, &r);
	if (g->duty > DUTY_FULL)
		g->duty = 1;
	if (!g->attached)
		attach(g, now_ns);
	else if (g->duty < 1)
		detach(g, now_ns);
	else
		g->until_ns = now_ns + SECOND_NS;
	if (g->attached && g->duty == 1 && before < 1)
		set_period(g, now_ns);
}

void governor_start(struct governor *g, struct kernel *k, double budget, unsigned int frequency_hz, const struct calibration *c)
{
	uint64_t now_ns = monotonic_ns(), fastest = (uint64_t)frequency_hz * FASTER_MAX;
	bool again = g->kernel == k;
	struct costs smooth = g->smooth, total = g->total;
	double duty = again ? g->duty : 1;
	uint64_t start_ns = again ? g->start_ns : now_ns;
	const char *fixed = getenv("WIREPROF_DUTY");

	if (fastest > FASTEST_HZ)
		fastest = frequency_hz > FASTEST_HZ ? frequency_hz : FASTEST_HZ;
	if (fastest > kernel_max_sample_rate())
		fastest = kernel_max_sample_rate();
	*g = (struct governor){
		.kernel = k,
		.budget = budget,
		.period_ns = SECOND_NS / frequency_hz,
		.usual = fmin(USUAL_HZ / frequency_hz, 1),
		.calibration = *c,
		.start_ns = start_ns,
		.until_ns = now_ns + FIRST_NS,
		.duty = duty,
		.thinning = again ? g->thinning : 1,
	};
	if (again) {
		g->smooth = smooth;
		g->total = total;
	}
	if (fixed && atof(fixed) > 0)
		g->fixed_duty = fmin(fmax(atof(fixed), DUTY_MIN), 1);
	g->fastest_ns = fastest > frequency_hz ? SECOND_NS / fastest : g->period_ns;
	read_costs(g, now_ns, &g->seen);
	g->measured_ns = now_ns;
	begin_phase(g, now_ns);
	set_period(g, now_ns);
	if (duty < 1 && chance() > duty) { /* in the middle of it */
		detach(g, now_ns);
		g->until_ns = now_ns + (g->until_ns - now_ns) * chance();
	}
}

void governor_stop(struct governor *g)
{
	measure(g, monotonic_ns());
}

uint64_t governor_run(struct governor *g)
{
	bool decides = g->budget > 0 && kernel_hook(g->kernel) != HOOK_NONE;
	uint64_t now_ns = monotonic_ns(), due_ns;

	if (decides && now_ns >= g->until_ns)
		decide(g, now_ns);
	else if (now_ns - g->measured_ns >= SECOND_NS)
		measure(g, now_ns);
	now_ns = monotonic_ns(); /* attaching takes a while */
	if (now_ns - g->jittered_ns >= SECOND_NS)
		set_period(g, now_ns);
	due_ns = g->jittered_ns + SECOND_NS;
	if (decides && g->until_ns < due_ns)
		due_ns = g->until_ns;
	return due_ns > now_ns ? due_ns - now_ns : 0;
}

/* --- what was seen --- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

double governor_inclusion(const struct governor *g, uint64_t age_ns, uint64_t now_ns, bool lasting)
{
	uint64_t first = g->n_phases > GOVERNOR_PHASES ? g->n_phases - GOVERNOR_PHASES : 0, q = first;
	uint64_t from_ns = g->phases[first % GOVERNOR_PHASES].from_ns + age_ns; /* before that, nothing is remembered */
	double attached = 0, both = 0;

	if (g->n_phases == 1 && g->attached)
		return 1;
	for (uint64_t p = first; p < g->n_phases; p++) {
		struct hook_phase here = g->phases[p % GOVERNOR_PHASES];

		here.from_ns = later(here.from_ns, from_ns);
		here.to_ns = earlier(here.to_ns, now_ns);
		if (here.to_ns <= here.from_ns)
			continue;
		attached += here.to_ns - here.from_ns;
		for (; q < p && g->phases[q % GOVERNOR_PHASES].to_ns + age_ns <= here.from_ns; q++)
			;
		for (uint64_t i = lasting ? q : p; i <= p; i++) {
			const struct hook_phase *then = &g->phases[i % GOVERNOR_PHASES];
			uint64_t from = later(here.from_ns, then->from_ns + age_ns);
			uint64_t to = earlier(here.to_ns, then->to_ns == UINT64_MAX ? UINT64_MAX : then->to_ns + age_ns);

			if (from >= here.to_ns)
				break;
			both += to > from ? to - from : 0;
		}
	}
	return attached > 0 ? fmax(both / attached, DUTY_MIN) : fmax(g->duty, DUTY_MIN);
}
