import Bytes
import JSON
import Services

/// A kind of job as the executable lists it.
public struct JobKindDefinition: Sendable {
    public let name: String
    private let makeRunner: @Sendable (ServiceContext) throws -> any KindRunner

    /// A kind that needs nothing but what every service is given.
    public init<Kind: JobKind>(_ kind: Kind.Type) {
        self.init(kind) { try Kind(context: $0) }
    }

    /// A kind that the executable supplies with more: closures of other services, lists of its own.
    /// - Parameter make: makes the instance of one loop, and throws as `JobKind.init(context:)` does.
    public init<Kind: JobKind>(_ kind: Kind.Type, make: @escaping @Sendable (ServiceContext) throws -> Kind) {
        name = kind.name
        makeRunner = { KindBox(try make($0)) }
    }

    /// The instance of one loop.
    func runner(_ context: ServiceContext) throws -> any KindRunner { try makeRunner(context) }
}

/// A kind of job whose config's type is of no interest.
protocol KindRunner: AnyObject {
    var missingSetting: String? { get }

    /// Refuses a config that the kind could not run with.
    func check(_ config: JSONValue) throws(Problem)

    func run(_ config: JSONValue, _ context: JobContext) async throws -> JSONValue?
}

private final class KindBox<Kind: JobKind>: KindRunner {
    private let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    var missingSetting: String? { kind.missingSetting }

    func check(_ config: JSONValue) throws(Problem) { _ = try parse(config) }

    func run(_ config: JSONValue, _ context: JobContext) async throws -> JSONValue? {
        let parsed: Kind.Config
        do { parsed = try parse(config) } catch { throw JobFailure(error.detail, isPermanent: true) }
        return try await kind.run(parsed, context)
    }

    private func parse(_ config: JSONValue) throws(Problem) -> Kind.Config {
        var fields = try Fields(config, of: "config")
        let parsed = try kind.config(&fields)
        try fields.finish()
        return parsed
    }
}

/// The kinds that one loop knows.
final class KindRegistry {
    private let runners: [String: any KindRunner]
    let names: [String]

    init(_ definitions: [JobKindDefinition], context: ServiceContext) throws {
        var runners: [String: any KindRunner] = [:]
        for definition in definitions { runners[definition.name] = try definition.runner(context) }
        self.runners = runners
        names = definitions.map(\.name)
    }

    /// What this process can run: of `types`, or of all kinds, those that lack no setting.
    func runnable(_ types: [String]?) -> [String] { (types ?? names).filter { runners[$0]?.missingSetting == nil } }

    /// Kinds that cannot run here, and the setting that each lacks.
    var lacking: [(type: String, setting: String)] {
        names.compactMap { name in runners[name]?.missingSetting.map { (name, $0) } }
    }

    subscript(type: String) -> (any KindRunner)? { runners[type] }

    /// Refuses what its kind could not run: understood, and impossible.
    /// - Parameter external: types that workers in other languages run; their configs are theirs to check.
    func check(_ draft: JobDraft, named prefix: String = "", external: Set<String>) throws(Problem) {
        guard let runner = runners[draft.type] else {
            if external.contains(draft.type) { return }
            throw .impossible(
                prefix + "type",
                "is not known here: \(draft.type). A type that workers of your own run is declared once, by "
                    + "PUT /api/job-types/\(draft.type) with {\"external\":true}")
        }
        let config: JSONValue
        do { config = try draft.config.withByteView { view throws(JSONError) in try JSONValue(parsing: view) } } catch {
            throw .impossible(prefix + "config", "cannot be read: \(error)")
        }
        do { try runner.check(config) } catch {
            throw Problem(.impossible, prefix + error.detail, field: error.field.map { prefix + $0 })
        }
    }
}
