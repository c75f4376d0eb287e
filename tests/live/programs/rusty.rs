// SPDX-License-Identifier: Apache-2.0
// What Rust programs do all day: iterators, closures, hash maps, sorting, formatting, trait objects, a caught
// panic now and then; two threads.
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::panic;
use std::thread;

trait Shape {
    fn area(&self, depth: u32) -> f64;
}

struct Square(f64);
struct Group(Vec<Box<dyn Shape>>);

impl Shape for Square {
    fn area(&self, depth: u32) -> f64 {
        self.0 * self.0 + f64::from(depth)
    }
}

impl Shape for Group {
    fn area(&self, depth: u32) -> f64 {
        if depth == 0 {
            panic!("too deep");
        }
        self.0.iter().map(|s| s.area(depth - 1)).sum()
    }
}

fn nested(levels: u32) -> Group {
    let mut parts: Vec<Box<dyn Shape>> = (0..4).map(|i| Box::new(Square(f64::from(i))) as Box<dyn Shape>).collect();
    if levels > 0 {
        parts.push(Box::new(nested(levels - 1)));
    }
    Group(parts)
}

#[inline(never)]
fn counting(seed: u64) -> usize {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut x = seed;
    for _ in 0..2000 {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *counts.entry(format!("k{}", x >> 56)).or_insert(0) += 1;
    }
    let ordered: BTreeMap<_, _> = counts.iter().map(|(k, v)| (v, k)).collect();
    let mut text = String::new();
    for (n, key) in &ordered {
        write!(text, "{key}={n:>5} ").unwrap();
    }
    text.len()
}

#[inline(never)]
fn sorting(seed: u64) -> String {
    let mut words: Vec<String> = (0..2000u64).map(|i| (i.wrapping_mul(seed | 1) % 10007).to_string()).collect();
    words.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| b.cmp(a)));
    words.sort_unstable();
    words.swap_remove(1000)
}

#[inline(never)]
fn panicking(shapes: &Group) -> bool {
    panic::catch_unwind(panic::AssertUnwindSafe(|| shapes.area(20))).is_ok()
}

fn work(mut seed: u64) {
    let shapes = nested(30);
    loop {
        seed += 1;
        let mut sum = shapes.area(100) + counting(seed) as f64 + sorting(seed).len() as f64;
        sum += f64::from(u8::from(panicking(&shapes)));
        std::hint::black_box(sum);
    }
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    println!("busy");
    let other = thread::spawn(|| work(1 << 40));
    work(1);
    other.join().unwrap();
}
