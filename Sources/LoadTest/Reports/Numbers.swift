/// Numbers for people: `61,234`, `8.5`, `0.084`.
enum Numbers {
    /// A number with so many decimals, rounded half up, thousands set apart.
    static func text(_ value: Double, decimals: Int = 0) -> String {
        guard value.isFinite else { return "–" }
        var scale = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        let whole = sign + grouped(scaled / scale)
        guard decimals > 0 else { return whole }
        let fraction = String(scaled % scale)
        return whole + "." + String(repeating: "0", count: decimals - fraction.utf8.count) + fraction
    }

    /// A duration in microseconds as milliseconds, with three digits that matter.
    static func ms(us: Double) -> String {
        text(us / 1000, decimals: us < 9995 ? 2 : us < 99_950 ? 1 : 0)
    }

    private static func grouped(_ value: Int) -> String {
        let digits = Array(String(value))
        var text = ""
        for (i, digit) in digits.enumerated() {
            if i > 0, (digits.count - i) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }
}
