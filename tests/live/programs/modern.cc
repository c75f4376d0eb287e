/* SPDX-License-Identifier: Apache-2.0 */
/* What C++ programs do all day: virtual calls, std::sort and std::map, std::function, strings, exceptions; two threads. */
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#include "burn.h"

volatile long sink;

class shape
{
public:
	virtual ~shape() = default;
	virtual double area(int depth) const = 0;
};

class square final : public shape
{
	double side;

public:
	explicit square(double side) : side(side) {}
	double area(int depth) const override
	{
		if (depth < 0)
			throw std::runtime_error("a square this deep: " + std::to_string(depth));
		return side * side + depth;
	}
};

class group final : public shape
{
	std::vector<std::unique_ptr<shape>> parts;

public:
	void add(std::unique_ptr<shape> part) { parts.push_back(std::move(part)); }
	double area(int depth) const override
	{
		double sum = 0;

		for (const auto &part : parts)
			sum += part->area(depth - 1);
		return sum;
	}
};

static std::unique_ptr<group> nested(int levels)
{
	auto made = std::make_unique<group>();

	for (int i = 0; i < 4; i++)
		made->add(std::make_unique<square>(i));
	if (levels)
		made->add(nested(levels - 1));
	return made;
}

ALONE static long throwing(const shape &s)
{
	try {
		return s.area(3);
	} catch (const std::runtime_error &error) {
		return std::string(error.what()).size();
	}
}

ALONE static long sorting(unsigned seed)
{
	std::vector<std::string> words;

	for (int i = 0; i < 2000; i++)
		words.push_back(std::to_string((seed = seed * 1103515245 + 12345) >> 7));
	std::sort(words.begin(), words.end(), [](const std::string &a, const std::string &b) {
		return a.size() != b.size() ? a.size() < b.size() : a < b;
	});
	std::stable_sort(words.begin(), words.end());
	return words[words.size() / 2].size();
}

ALONE static long mapping(int n)
{
	std::map<std::string, std::function<long(long)>> table;
	std::ostringstream text;
	long sum = 0;

	for (int i = 0; i < n; i++)
		table["key" + std::to_string(i)] = [i](long x) { return x * i; };
	for (const auto &entry : table)
		text << entry.first << '=' << (sum += entry.second(3)) << ' ';
	return text.str().size() + std::regex_search(text.str(), std::regex("key(9+)=([0-9]*)7 "));
}

ALONE static void work(unsigned seed)
{
	auto shapes = nested(30);

	for (;;) {
		sink = sink + throwing(*shapes) + shapes->area(100) + sorting(seed++) + mapping(50);
	}
}

int main()
{
	tell_busy();
	std::thread other(work, 2);
	work(1);
}
