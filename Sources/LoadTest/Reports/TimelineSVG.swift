/// A picture of a run: latency over time on a scale of powers of ten, errors below, faults as labelled lines. It has no
/// script and no font of its own, and takes the colours of a light or a dark page.
struct TimelineSVG {
    struct Fault: Equatable {
        var atSeconds: Double
        var label: String
    }

    let title: String
    let seconds: [SecondsLog.Second]
    let faults: [Fault]

    private let left = 64.0
    private let right = 944.0
    private let top = 96.0
    private let bottom = 380.0

    /// The scale: from 0.1 ms or less to 10 ms or more.
    private var decades: ClosedRange<Int> {
        let measured = seconds.filter { $0.answers > 0 }
        let most = measured.map { power(above: $0.maxUs) }.max() ?? 4
        let least = measured.map { power(above: $0.p50Us) - 1 }.min() ?? 2
        return min(least, 2)...max(most, 4)
    }

    private func power(above us: Int64) -> Int {
        var power = 0
        var value: Int64 = 1
        while value < us {
            value *= 10
            power += 1
        }
        return power
    }

    private var width: Double { max(Double(seconds.count), 1) }

    private func x(_ second: Double) -> Double { left + (right - left) * min(second, width) / width }

    /// The logarithm by hand: Foundation is no part of this program.
    private func log10(_ us: Int64) -> Double {
        var (value, power) = (Double(max(us, 1)), 0.0)
        while value >= 10 {
            value /= 10
            power += 1
        }
        // Newton's steps on 10^y = value within a decade are replaced by halving, which is exact enough for pixels.
        var (low, high) = (0.0, 1.0)
        var (lowValue, highValue) = (1.0, 10.0)
        for _ in 0..<16 {
            let middle = (low + high) / 2
            let middleValue = (lowValue * highValue).squareRoot()
            if middleValue <= value {
                (low, lowValue) = (middle, middleValue)
            } else {
                (high, highValue) = (middle, middleValue)
            }
        }
        return power + low
    }

    private func y(_ us: Int64) -> Double {
        let (least, most) = (Double(decades.lowerBound), Double(decades.upperBound))
        let share = (log10(us) - least) / (most - least)
        return bottom - (bottom - top) * min(max(share, 0), 1)
    }

    var text: String {
        var svg = head
        svg += grid
        svg += line("max", \.maxUs) + line("p99", \.p99Us) + line("p50", \.p50Us)
        svg += errors + marks + legend
        return svg + "</svg>\n"
    }

    private var head: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 440" role="img" aria-label="\(escaped(title))">
        <style>
        svg { color: #1c2330; background: #ffffff; font: 12px system-ui, sans-serif }
        text { fill: currentColor }
        .grid { stroke: currentColor; stroke-opacity: .15 }
        .label { stroke: #ffffff; stroke-width: 4; paint-order: stroke }
        .fault { stroke: currentColor; stroke-opacity: .6; stroke-dasharray: 4 3 }
        .p50, .p99, .max { fill: none; stroke-width: 2; stroke-linejoin: round }
        .p50 { stroke: #0b7a75 } .p99 { stroke: #2f5fd0 } .max { stroke: #b06f00; stroke-width: 1.2 }
        .error { fill: #c62f3a }
        @media (prefers-color-scheme: dark) {
        svg { color: #e4e8f0; background: #12161f }
        .label { stroke: #12161f }
        .p50 { stroke: #43c6bd } .p99 { stroke: #86a8ff } .max { stroke: #f0b64a } .error { fill: #ff7a80 }
        }
        </style>
        <text x="\(number(left))" y="22" font-size="15">\(escaped(title))</text>

        """
    }

    private var grid: String {
        var svg = ""
        for power in decades {
            var us: Int64 = 1
            for _ in 0..<power { us *= 10 }
            let at = number(y(us))
            svg += "<line class=\"grid\" x1=\"\(number(left))\" x2=\"\(number(right))\" y1=\"\(at)\" y2=\"\(at)\"/>\n"
            let label = us >= 1_000_000 ? "\(us / 1_000_000) s" : us >= 1000 ? "\(us / 1000) ms" : "\(us) µs"
            svg += "<text x=\"\(number(left - 8))\" y=\"\(at)\" dy=\".35em\" text-anchor=\"end\">\(label)</text>\n"
        }
        // A mark for each of at most 20 steps of time.
        let step = [1, 2, 5, 10, 30, 60, 120, 300, 600].first { Double($0) * 20 >= width } ?? 3600
        for second in stride(from: 0, through: Int(width), by: step) {
            svg +=
                "<text x=\"\(number(x(Double(second))))\" y=\"\(number(bottom + 34))\" text-anchor=\"middle\">\(second) s</text>\n"
        }
        return svg
    }

    /// Where a second had no answers the line breaks.
    private func line(_ name: String, _ value: KeyPath<SecondsLog.Second, Int64>) -> String {
        var path = ""
        var isDown = false
        for (second, one) in seconds.enumerated() {
            guard one.answers > 0 else {
                isDown = false
                continue
            }
            let at = "\(number(x(Double(second) + 0.5))) \(number(y(one[keyPath: value])))"
            // A lone second is a dot, and a line of no length with round ends is one.
            path += isDown ? " L\(at)" : " M\(at) l0.01 0"
            isDown = true
        }
        return path.isEmpty ? "" : "<path class=\"\(name)\" stroke-linecap=\"round\" d=\"\(path.dropFirst())\"/>\n"
    }

    /// A triangle for each second with errors, larger for more, that says how many.
    private var errors: String {
        var svg = ""
        for (second, one) in seconds.enumerated() where one.errors > 0 {
            let size = one.errors < 10 ? 4.0 : one.errors < 100 ? 6.0 : 8.0
            let (at, base) = (x(Double(second) + 0.5), bottom + 16)
            svg +=
                "<path class=\"error\" d=\"M\(number(at - size)) \(number(base)) L\(number(at + size)) \(number(base)) "
                + "L\(number(at)) \(number(base - 1.6 * size)) Z\"><title>\(one.errors) errors in second \(second)</title></path>\n"
        }
        return svg
    }

    /// Labels stand in three rows, above the lines of all, so that faults close to each other can be read.
    private var marks: String {
        var (lines, labels) = ("", "")
        for (order, fault) in faults.enumerated() {
            let at = x(fault.atSeconds)
            let row = 46 + Double(order % 3) * 16
            let isFar = at > (left + right) / 2
            let place = number(at)
            lines +=
                "<line class=\"fault\" x1=\"\(place)\" x2=\"\(place)\" y1=\"\(number(row - 10))\" y2=\"\(number(bottom))\"/>\n"
            labels +=
                "<text class=\"label\" x=\"\(number(at + (isFar ? -4 : 4)))\" y=\"\(number(row))\" "
                + "text-anchor=\"\(isFar ? "end" : "start")\">\(escaped(fault.label))</text>\n"
        }
        return lines + labels
    }

    private var legend: String {
        var svg = ""
        for (place, name) in ["p50", "p99", "max"].enumerated() {
            let at = left + Double(place) * 80
            svg +=
                "<path class=\"\(name)\" d=\"M\(number(at)) 428 h24\"/>"
                + "<text x=\"\(number(at + 30))\" y=\"432\">\(name)</text>\n"
        }
        let at = left + 250
        return svg + "<path class=\"error\" d=\"M\(number(at)) 432 l12 0 l-6 -9 Z\"/>"
            + "<text x=\"\(number(at + 18))\" y=\"432\">errors (tries without an outcome) in that second</text>\n"
    }

    private func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(abs(tenths % 10))"
    }

    private func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
