import Bytes

extension MetricsSnapshot {
    /// The content type of `prometheus(into:)`.
    public static let prometheusContentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

    /// Appends the metrics in Prometheus's text format 0.0.4, families by name.
    ///
    /// A histogram's buckets include every value that shares the log-linear bucket of their bound, so a count may
    /// include values up to 1/64 above it.
    public func prometheus(into buffer: ByteBuffer) {
        for family in families.sorted(by: { $0.name < $1.name }) where !family.series.isEmpty {
            buffer.append("# HELP ")
            buffer.append(family.name)
            buffer.append(" ")
            appendHelp(family.help, to: buffer)
            buffer.append("\n# TYPE ")
            buffer.append(family.name)
            switch family.kind {
            case .counter: buffer.append(" counter\n")
            case .gauge: buffer.append(" gauge\n")
            case .histogram: buffer.append(" histogram\n")
            }
            for series in family.series { appendSeries(family, series, to: buffer) }
        }
    }

    private func appendSeries(_ family: Family, _ series: Series, to buffer: ByteBuffer) {
        switch (series.value, family.kind) {
        case (.number(let number), _):
            appendName(family.name, "", series.labels, to: buffer)
            buffer.append(decimal: number)
            buffer.append("\n")
        case (.distribution(let distribution), .histogram(let unit)):
            for bound in unit.bounds {
                appendBucket(family, series, to: buffer) { appendValue(bound, unit, to: buffer) }
                buffer.append(decimal: distribution.count(upTo: bound))
                buffer.append("\n")
            }
            appendBucket(family, series, to: buffer) { buffer.append("+Inf") }
            buffer.append(decimal: distribution.count)
            buffer.append("\n")
            appendName(family.name, "_sum", series.labels, to: buffer)
            appendValue(distribution.sum, unit, to: buffer)
            buffer.append("\n")
            appendName(family.name, "_count", series.labels, to: buffer)
            buffer.append(decimal: distribution.count)
            buffer.append("\n")
        case (.distribution, _): preconditionFailure("metric \(family.name) is no histogram")
        }
    }

    private func appendName(_ name: String, _ suffix: StaticString, _ labels: String, to buffer: ByteBuffer) {
        buffer.append(name)
        buffer.append(suffix)
        if !labels.isEmpty {
            buffer.append("{")
            buffer.append(labels)
            buffer.append("}")
        }
        buffer.append(" ")
    }

    private func appendBucket(_ family: Family, _ series: Series, to buffer: ByteBuffer, _ bound: () -> Void) {
        buffer.append(family.name)
        buffer.append("_bucket{")
        buffer.append(series.labels)
        if !series.labels.isEmpty { buffer.append(",") }
        buffer.append("le=\"")
        bound()
        buffer.append("\"} ")
    }

    /// Microseconds become seconds, exactly and without trailing zeros.
    private func appendValue(_ value: Int64, _ unit: MetricUnit, to buffer: ByteBuffer) {
        guard case .microseconds = unit else {
            buffer.append(decimal: Int(value))
            return
        }
        buffer.append(decimal: Int(value / 1_000_000))
        var fraction = Int(value % 1_000_000)
        guard fraction > 0 else { return }
        var width = 6
        while fraction % 10 == 0 {
            fraction /= 10
            width -= 1
        }
        buffer.append(".")
        buffer.append(decimal: fraction, width: width)
    }

    private func appendHelp(_ help: String, to buffer: ByteBuffer) {
        for byte in help.utf8 {
            switch byte {
            case 0x5C: buffer.append("\\\\")
            case 0x0A: buffer.append("\\n")
            default: buffer.append(byte)
            }
        }
    }
}
