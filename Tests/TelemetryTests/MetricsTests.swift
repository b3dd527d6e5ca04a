import Bytes
import Telemetry
import Testing

struct MetricsTests {
    private func text(_ snapshot: MetricsSnapshot) -> String {
        let buffer = ByteBuffer()
        snapshot.prometheus(into: buffer)
        return buffer.view.string
    }

    @Test func writesTheTextFormat() {
        let registry = MetricRegistry()
        let labels = [("route", "/a\"\\\n"), ("status", "200")]
        registry.counter("qm_http_requests_total", "Requests\nby \\route.", labels: labels).increment(by: 3)
        registry.gauge("qm_connections", "Open connections.").set(-2)
        let histogram = registry.histogram("qm_wait_seconds", "Waiting.", labels: [("kind", "x")], unit: .microseconds)
        histogram.record(100)
        histogram.record(2_000_001)
        histogram.record(90_000_000)
        let lines = text(registry.snapshot()).split(separator: "\n").map(String.init)
        #expect(
            Array(lines.prefix(5)) == [
                "# HELP qm_connections Open connections.",
                "# TYPE qm_connections gauge",
                "qm_connections -2",
                "# HELP qm_http_requests_total Requests\\nby \\\\route.",
                "# TYPE qm_http_requests_total counter",
            ])
        #expect(lines[5] == #"qm_http_requests_total{route="/a\"\\\n",status="200"} 3"#)
        #expect(lines.contains("# TYPE qm_wait_seconds histogram"))
        #expect(lines.contains(#"qm_wait_seconds_bucket{kind="x",le="0.0001"} 1"#))
        #expect(lines.contains(#"qm_wait_seconds_bucket{kind="x",le="1"} 1"#))
        #expect(lines.contains(#"qm_wait_seconds_bucket{kind="x",le="2.5"} 2"#))
        #expect(lines.contains(#"qm_wait_seconds_bucket{kind="x",le="60"} 2"#))
        #expect(lines.contains(#"qm_wait_seconds_bucket{kind="x",le="+Inf"} 3"#))
        #expect(lines.contains(#"qm_wait_seconds_sum{kind="x"} 92.000101"#))
        #expect(lines.contains(#"qm_wait_seconds_count{kind="x"} 3"#))
    }

    @Test func theSameNameAndLabelsAreTheSameInstrument() {
        let registry = MetricRegistry()
        let first = registry.counter("c_total", "C.", labels: [("a", "1")])
        #expect(first === registry.counter("c_total", "C.", labels: [("a", "1")]))
        #expect(first !== registry.counter("c_total", "C.", labels: [("a", "2")]))
    }

    @Test func mergesByKind() {
        func loop(_ n: Int) -> MetricsSnapshot {
            let registry = MetricRegistry()
            registry.counter("c_total", "C.", labels: [("rule", "shared")]).increment(by: n)
            registry.counter("c_total", "C.", labels: [("rule", "own\(n)")]).increment()
            registry.gauge("connections", "G.").set(n)
            registry.gauge("revision", "R.", merging: .max).set(n)
            registry.histogram("depth", "H.", unit: .count).record(Int64(n))
            if n == 5 { registry.counter("only_total", "O.").increment() }
            return registry.snapshot()
        }
        var merged = loop(3)
        merged.merge(loop(5))
        #expect(merged.number("c_total", labels: #"rule="shared""#) == 8)
        #expect(merged.number("c_total", labels: #"rule="own3""#) == 1)
        #expect(merged.number("c_total", labels: #"rule="own5""#) == 1)
        #expect(merged.number("connections") == 8)
        #expect(merged.number("revision") == 5)
        #expect(merged.number("only_total") == 1)
        #expect(merged.distribution("depth")?.count == 2)
        #expect(merged.number("depth") == nil)
        var other = loop(5)
        other.merge(loop(3))
        #expect(other.number("revision") == 5)
    }

    @Test func snapshotsAreCopies() {
        let registry = MetricRegistry()
        let counter = registry.counter("c_total", "C.")
        var level = 0
        let gauge = registry.gauge("level", "L.")
        registry.beforeSnapshot { gauge.set(level) }
        level = 7
        let before = registry.snapshot()
        counter.increment()
        #expect(before.number("c_total") == 0)
        #expect(before.number("level") == 7)
        #expect(registry.snapshot().number("c_total") == 1)
    }

    @Test func aRemovedSeriesIsGone() {
        let registry = MetricRegistry()
        let counter = registry.counter("c_total", "C.", labels: [("rule", "x")])
        registry.remove("c_total", labels: [("rule", "x")])
        counter.increment()
        #expect(registry.snapshot().number("c_total", labels: #"rule="x""#) == nil)
        #expect(text(registry.snapshot()).isEmpty)
    }

    @Test func impossibleNamesAreProgrammingErrors() async {
        await #expect(processExitsWith: .failure) { _ = MetricRegistry().counter("9c", "C.") }
        await #expect(processExitsWith: .failure) { _ = MetricRegistry().counter("c", "C.", labels: [("a:b", "1")]) }
        await #expect(processExitsWith: .failure) {
            let registry = MetricRegistry()
            _ = registry.counter("c", "C.")
            _ = registry.gauge("c", "C.")
        }
    }
}
