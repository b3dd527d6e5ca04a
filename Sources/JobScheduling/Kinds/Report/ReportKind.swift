import Bytes
import EventLoops
import JSON
import Services

/// `report_generation`: the figures of services, as a text that is kept as the job's result.
///
/// | member | means | default |
/// |---|---|---|
/// | `report` | the name of a source that the executable has (`ReportSource`), or `all` | required |
/// | `format` | `json`, `csv` (RFC 4180) or `html` | `json` |
///
/// The result is `{report, format, contentType, generatedAt, rows, text}`: `rows` is how many there are, `generatedAt` by
/// the worker's clock. A text above 256 KiB fails the job for good.
///
/// In CSV, cells that a spreadsheet would take for formulas begin with an apostrophe, and `all` is one table with the
/// columns of every source and the source's name in front. In HTML everything from outside is escaped. A value that is
/// neither text nor number nor true nor false stands in a cell as JSON.
public final class ReportKind: JobKind {
    public struct Config: Sendable {
        var sources: [ReportSource]
        var title: String
        var format = ReportText.Format.json
    }

    public static let name = "report_generation"
    public static let mostBytes = 262_144
    private let context: ServiceContext
    private let sources: [ReportSource]

    public convenience init(context: ServiceContext) { self.init(context: context, sources: [.queues]) }

    /// - Parameter sources: in the order in which `all` shows them.
    public init(context: ServiceContext, sources: [ReportSource]) {
        self.context = context
        self.sources = sources
    }

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        let title = try fields.string("report", max: 64).required(fields.name("report"))
        let chosen = title == "all" ? sources : sources.filter { $0.name == title }
        guard !chosen.isEmpty else {
            let known = (sources.map(\.name) + ["all"]).joined(separator: ", ")
            throw .impossible(fields.name("report"), "is not known here: \(title); there is \(known)")
        }
        var config = Config(sources: chosen, title: title)
        config.format = try fields.word("format", ReportText.Format.self) ?? .json
        return config
    }

    public func run(_ config: Config, _ job: JobContext) async throws -> JSONValue? {
        var sections: [ReportText.Section] = []
        for source in config.sources {
            try job.checkCancellation()
            sections.append(ReportText.Section(name: source.name, rows: try await source.rows(context)))
        }
        try job.checkCancellation()
        let report = ReportText(
            title: config.title, madeAt: Timestamp(us: WallClock.nowUs()).rfc3339, sections: sections)
        let format = config.format
        // There may be thousands of rows.
        let text = await BlockingPool.shared.run { report.text(format) }
        guard text.utf8.count <= ReportKind.mostBytes else {
            throw JobFailure(
                "the report has \(text.utf8.count) bytes, and a result may have \(ReportKind.mostBytes)",
                isPermanent: true)
        }
        return .object([
            .init("report", .string(config.title)), .init("format", .string(format.rawValue)),
            .init("contentType", .string(format.contentType)), .init("generatedAt", .string(report.madeAt)),
            .init("rows", .int(sections.reduce(0) { $0 + $1.rows.count })), .init("text", .string(text)),
        ])
    }
}
