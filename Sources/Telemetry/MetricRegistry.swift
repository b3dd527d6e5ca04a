/// The metrics of one loop. Instruments are made once and kept by whoever counts; counting touches nothing shared.
///
/// Confined to its loop; `snapshot` is what travels, and the snapshots of all loops merge into one text.
public final class MetricRegistry {
    private enum Instrument {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private struct Family {
        let name: String
        let help: String
        let kind: MetricsSnapshot.Kind
        var series: [(labels: String, instrument: Instrument)] = []
    }

    private var families: [Family] = []
    private var positions: [String: Int] = [:]
    private var collectors: [() -> Void] = []

    public init() {}

    /// The counter of this name and these labels, made when asked for the first time.
    /// - Parameters:
    ///   - name: letters, digits, `_` and `:`; by custom it ends in `_total`.
    ///   - labels: names by the same rule without `:`, values of any text. Keep the number of different values bounded.
    public func counter(_ name: String, _ help: String, labels: [(String, String)] = []) -> Counter {
        let instrument = instrument(name, help, .counter, labels) { .counter(Counter()) }
        guard case .counter(let counter) = instrument else { preconditionFailure("\(name) is no counter") }
        return counter
    }

    /// The gauge of this name and these labels, made when asked for the first time.
    public func gauge(
        _ name: String, _ help: String, labels: [(String, String)] = [], merging: GaugeMerging = .sum
    ) -> Gauge {
        let instrument = instrument(name, help, .gauge(merging), labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = instrument else { preconditionFailure("\(name) is no gauge") }
        return gauge
    }

    /// The histogram of this name and these labels, made when asked for the first time.
    public func histogram(
        _ name: String, _ help: String, labels: [(String, String)] = [], unit: MetricUnit
    ) -> Histogram {
        let instrument = instrument(name, help, .histogram(unit), labels) { .histogram(Histogram()) }
        guard case .histogram(let histogram) = instrument else { preconditionFailure("\(name) is no histogram") }
        return histogram
    }

    /// Forgets one series, when what it is about is gone (a rule was deleted). Whoever holds it counts into the void.
    public func remove(_ name: String, labels: [(String, String)] = []) {
        guard let position = positions[name] else { return }
        let text = labelText(labels)
        families[position].series.removeAll { $0.labels == text }
    }

    /// Has `body` called before each snapshot, to set gauges that are cheaper to read than to keep up to date.
    public func beforeSnapshot(_ body: @escaping () -> Void) { collectors.append(body) }

    /// All metrics as they are now.
    public func snapshot() -> MetricsSnapshot {
        for collect in collectors { collect() }
        return MetricsSnapshot(
            families: families.map { family in
                MetricsSnapshot.Family(
                    name: family.name, help: family.help, kind: family.kind,
                    series: family.series.map { .init(labels: $0.labels, value: MetricRegistry.value($0.instrument)) })
            })
    }

    private static func value(_ instrument: Instrument) -> MetricsSnapshot.Value {
        switch instrument {
        case .counter(let counter): .number(counter.value)
        case .gauge(let gauge): .number(gauge.value)
        case .histogram(let histogram): .distribution(histogram.snapshot())
        }
    }

    private func instrument(
        _ name: String, _ help: String, _ kind: MetricsSnapshot.Kind, _ labels: [(String, String)],
        _ make: () -> Instrument
    ) -> Instrument {
        let text = labelText(labels)
        if let position = positions[name] {
            precondition(families[position].kind == kind, "metric \(name) was made as another kind")
            if let known = families[position].series.first(where: { $0.labels == text }) { return known.instrument }
            let fresh = make()
            families[position].series.append((text, fresh))
            return fresh
        }
        precondition(isName(name, colons: true), "\(name) is no metric name")
        positions[name] = families.count
        let fresh = make()
        families.append(Family(name: name, help: help, kind: kind, series: [(text, fresh)]))
        return fresh
    }
}

/// The labels as the exposition has them, without the braces: `route="/x",method="GET"`.
private func labelText(_ labels: [(String, String)]) -> String {
    var text = ""
    for (name, value) in labels {
        precondition(isName(name, colons: false), "\(name) is no label name")
        if !text.isEmpty { text += "," }
        text += name + "=\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
    return text
}

private func isName(_ name: String, colons: Bool) -> Bool {
    guard let first = name.utf8.first, !first.isASCIIDigit else { return false }
    return name.utf8.allSatisfy {
        $0.isASCIIDigit || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x5F || (colons && $0 == 0x3A)
    }
}

extension UInt8 {
    fileprivate var isASCIIDigit: Bool { self >= 0x30 && self <= 0x39 }
}
