/* SPDX-License-Identifier: Apache-2.0 */
/* Mangled names: namespaces, classes, templates, virtual calls, lambdas, an operator. */
#include <string>
#include <vector>
#include "burn.h"

volatile long sink;

namespace store
{
class engine
{
public:
	virtual ~engine() = default;
	virtual long run(const std::string &query, int n) const = 0;
};

namespace detail
{
class btree final : public engine
{
public:
	ALONE long run(const std::string &query, int n) const override
	{
		return (*this)(std::vector<int>(n, query.size())) + sink;
	}

	ALONE long operator()(const std::vector<int> &keys) const
	{
		return scan<int>(keys, keys.size()) + sink;
	}

	template <typename T> ALONE long scan(const std::vector<T> &keys, unsigned long n) const
	{
		tell_busy();
		for (;;)
			sink += keys[n / 2];
		return sink;
	}
};
} // namespace detail
} // namespace store

int main(int argc, char **)
{
	store::engine *e = new store::detail::btree;

	return e->run("select", argc + 7) + sink;
}
