import EventLoops
import JSON
import Services

/// `data_processing`: reads rows, checks and changes them, and hands what is left to a sink.
///
/// | member | means | default |
/// |---|---|---|
/// | `data` | the rows themselves; with the rest of the config at most 512 KiB | one of both |
/// | `file` | a file below the folder that the setting `data-root` names, at most 16 MiB; no link is followed | is required |
/// | `format` | `ndjson`: an object a line; `csv`: RFC 4180, the first line names the fields | `ndjson` |
/// | `delimiter` | of CSV, one ASCII character | `,` |
/// | `steps` | at most 32, each an object with one member | none |
/// | `sink` | `result`, or a name that the executable knows (`DataSink`) | `result` |
/// | `onInvalid` | `skip` leaves a bad row out and counts it, and fails the job for good when all are bad; `fail` fails the job for good, and nothing is handed on | `skip` |
///
/// A value is absent when it is null, missing, or (CSV) empty. In CSV every value is a text until `validate` names its type
/// or `map` makes a number of it; in NDJSON nothing is converted.
///
/// | step | means |
/// |---|---|
/// | `{"validate": {field: {type, required, min, max, pattern}}}` | rows must be so; `type` is `string`, `number`, `integer` or `boolean`; `min` and `max` are of a number's value or of a text's length in characters; `pattern` has `*` and `?` |
/// | `{"map": {field: expression}}` | the row is these fields and no others (`DataExpression`) |
/// | `{"filter": {field, op, value}}` | leaves out rows for which it does not hold (`DataFilter`) |
/// | `{"aggregate": {by, count, sum, min, max, avg}}` | one row per group, at most 10,000 groups (`DataAggregate`) |
///
/// The result is `{read, invalid, filtered, written, errors}`: rows that were there, were bad, were left out, went to the
/// sink; the first 100 errors as `{line, error}`, `line` null for rows that a step made. With the sink `result` it has
/// `rows`, the first 1000 within 256 KiB, and `rowsCut: true` when there were more; with another one `result`, what that
/// sink says. At most 100,000 rows may be left. Progress is `{read}`.
public final class DataProcessingKind: JobKind {
    public struct Config: Sendable {
        var data = ""
        /// Parts of the path below the root.
        var file: [String]?
        var format = DataReader.Format.ndjson
        var delimiter: UInt8 = 0x2C
        var steps: [DataStep] = []
        var sink: String?
        var failsOnInvalid = false
    }

    private enum OnInvalid: String, CaseIterable { case skip, fail }

    public static let name = "data_processing"
    private let root: String?
    private let sinks: [String: DataSink]

    public convenience init(context: ServiceContext) throws { try self.init(context: context, sinks: []) }

    /// - Parameter sinks: those that a job may name besides `result`.
    public init(context: ServiceContext, sinks: [DataSink]) throws {
        root = try context.process.settings["data-root"].map { try Folders.resolve($0, "data-root") }
        self.sinks = Dictionary(sinks.map { ($0.name, $0) }) { $1 }
    }

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        var config = Config()
        try readSource(&fields, &config)
        config.format = try fields.word("format", DataReader.Format.self) ?? .ndjson
        if let text = try delimiter(&fields) {
            guard config.format == .csv else { throw .field(fields.name("delimiter"), "is for the format csv") }
            config.delimiter = text
        }
        for (i, value) in (try fields.array("steps", maxCount: DataStep.most) ?? []).enumerated() {
            config.steps.append(try DataStep(value, "\(fields.name("steps"))[\(i)]"))
        }
        if let sink = try fields.string("sink", max: 64), sink != "result" {
            guard sinks[sink] != nil else {
                let known = (["result"] + sinks.keys.sorted()).joined(separator: ", ")
                throw .impossible(fields.name("sink"), "is not known here: \(sink); there is \(known)")
            }
            config.sink = sink
        }
        config.failsOnInvalid = try fields.word("onInvalid", OnInvalid.self) == .fail
        return config
    }

    private func readSource(_ fields: inout Fields, _ config: inout Config) throws(Problem) {
        let data = fields.value("data")
        let file = try fields.string("file", max: 1024)
        switch (data, file) {
        case (.string(let text), nil):
            guard text.utf8.count <= 524_288 else { throw .field(fields.name("data"), "must be at most 512 KiB") }
            config.data = text
        case (.some, nil): throw .field(fields.name("data"), "must be a string")
        case (nil, let path?):
            guard root != nil else {
                throw .impossible(fields.name("file"), "cannot be read: the setting data-root names no folder")
            }
            config.file = try Folders.parts(path, fields.name("file"))
            if config.file == [] { throw .field(fields.name("file"), "must name a file") }
        case (nil, nil): throw .field(fields.name("data"), "or \(fields.name("file")) is required")
        case (.some, .some): throw .field(fields.name("file"), "must not be given together with data")
        }
    }

    private func delimiter(_ fields: inout Fields) throws(Problem) -> UInt8? {
        guard let value = fields.value("delimiter") else { return nil }
        guard case .string(let text) = value, text.utf8.count == 1, let byte = text.utf8.first,
            byte == 0x09 || (0x20..<0x7F).contains(byte), byte != 0x22
        else { throw .field(fields.name("delimiter"), "must be one character other than a quote") }
        return byte
    }

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        let run = DataRun(config, root: root)
        while true {
            try context.checkCancellation()
            switch await BlockingPool.shared.run({ run.slice() }) {
            case .more(let read): context.progress(.object([.init("read", .int(read))]))
            case .failed(let failure): throw failure
            case .done(let outcome): return try await hand(outcome, config, context)
            }
        }
    }

    private func hand(_ outcome: DataOutcome, _ config: Config, _ context: JobContext) async throws -> JSONValue {
        try context.checkCancellation()
        if let nothing = outcome.nothingIsValid { throw nothing }
        guard let name = config.sink else {
            return await BlockingPool.shared.run { outcome.json(outcome.cutRows()) }
        }
        guard let sink = sinks[name] else { throw JobFailure("there is no sink \(name) on this worker") }
        let answer = try await sink.write(outcome.rows, context)
        return outcome.json([.init("sink", .string(name)), .init("result", answer)])
    }
}
