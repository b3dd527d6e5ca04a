import Bytes
import JSON

/// The rows of a benchmark: each label once, in the order of first appearance, each figure the median of its runs.
struct Table {
    let rows: [RunResult]

    init(_ runs: [RunResult]) {
        var labels: [String] = []
        for run in runs where !labels.contains(run.label) { labels.append(run.label) }
        rows = labels.map { label in Table.medians(of: runs.filter { $0.label == label }) }
    }

    /// The middle value, or the mean of the two middle ones; nil of nothing.
    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// Each figure on its own: the median of its values over the runs that have it.
    private static func medians(of runs: [RunResult]) -> RunResult {
        func median(_ figure: (RunResult) -> Double?) -> Double? { Table.median(runs.compactMap(figure)) }
        func latency(_ figure: (RunResult.Latency) -> Double) -> Double { median { $0.latency.map(figure) } ?? 0 }
        func use(_ process: (RunResult) -> RunResult.ProcessUse?) -> RunResult.ProcessUse? {
            median { process($0)?.cpuUsPerRequest }.map { perRequest in
                RunResult.ProcessUse(
                    cpuUsPerRequest: perRequest, cpuUsPerDecision: median { process($0)?.cpuUsPerDecision },
                    residentKiB: Int(median { process($0).map { Double($0.residentKiB) } } ?? 0))
            }
        }
        var row = RunResult(
            label: runs[0].label, requests: runs.reduce(0) { $0 + $1.requests },
            requestsPerSecond: median { $0.requestsPerSecond } ?? 0)
        row.decisionsPerSecond = median { $0.decisionsPerSecond }
        if runs.contains(where: { $0.latency != nil }) {
            row.latency = RunResult.Latency(
                p50Us: latency { $0.p50Us }, p90Us: latency { $0.p90Us }, p99Us: latency { $0.p99Us },
                p999Us: latency { $0.p999Us }, maxUs: latency { $0.maxUs }, meanUs: latency { $0.meanUs })
        }
        row.server = use { $0.server }
        row.redis = use { $0.redis }
        return row
    }

    // MARK: Text

    private static let columns: [(title: String, cell: @Sendable (RunResult) -> String?)] = [
        ("workload", { $0.label }),
        ("requests/s", { Numbers.text($0.requestsPerSecond) }),
        ("decisions/s", { $0.decisionsPerSecond.map { Numbers.text($0) } }),
        ("server µs/request", { $0.server.map { Numbers.text($0.cpuUsPerRequest, decimals: 1) } }),
        ("server µs/decision", { $0.server?.cpuUsPerDecision.map { Numbers.text($0, decimals: 2) } }),
        ("Redis µs/decision", { $0.redis?.cpuUsPerDecision.map { Numbers.text($0, decimals: 2) } }),
        ("p50 ms", { $0.latency.map { Numbers.ms(us: $0.p50Us) } }),
        ("p99 ms", { $0.latency.map { Numbers.ms(us: $0.p99Us) } }),
        ("p99.9 ms", { $0.latency.map { Numbers.ms(us: $0.p999Us) } }),
        ("RSS MiB", { $0.server.map { Numbers.text(Double($0.residentKiB) / 1024, decimals: 1) } }),
    ]

    /// The table as Markdown, which also reads well as it is: columns aligned, labels left, figures right.
    var text: String {
        Aligned.table([Table.columns.map(\.title)] + rows.map { row in Table.columns.map { $0.cell(row) ?? "–" } })
    }

    /// Appends the rows as a JSON array.
    func write(to buffer: ByteBuffer) {
        buffer.append("[")
        for (i, row) in rows.enumerated() {
            buffer.append(i == 0 ? "\n  " : ",\n  " as StaticString)
            row.write(to: buffer)
        }
        buffer.append("\n]\n")
    }
}
