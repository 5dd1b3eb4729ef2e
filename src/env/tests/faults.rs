//! Each fault of a document with its code, place and text: a table.

use serde_json::json;

use super::{secret, superuser, told};

#[test]
fn each_fault_has_its_code_and_text() {
    let long = "x".repeat(140_000);
    let huge = "x".repeat(1_200_000);
    let cases = [
        (json!({"confg": {}}), "E0207 confg: unknown field \"confg\""),
        (
            json!({"workloads": {"setle": "1s"}}),
            "E0207 workloads.setle: unknown field \"setle\"",
        ),
        (
            json!({"deliver": [{"secret": "a", "key": []}]}),
            "E0207 deliver[0].key: unknown field \"key\"",
        ),
        (
            json!({"superuser": "~x"}),
            "E0208 superuser: superuser must be a map",
        ),
        (
            json!({"deliver": {}}),
            "E0208 deliver: deliver must be a list",
        ),
        (
            json!({"config": null}),
            "E0208 config: config must be a map",
        ),
        (json!({"app": {}}), "E0208 app: app must be a single word"),
        (
            json!({"sealctl": "~v2"}),
            "E0201 sealctl: unknown document version \"v2\"; this program reads v1",
        ),
        (
            json!({"sealctl": "REMOVE"}),
            "E0201 : the document has no version; write sealctl: v1",
        ),
        (
            json!({"app": "~Polls"}),
            "E0202 app: app \"Polls\" is not a valid name",
        ),
        (json!({"app": "REMOVE"}), "E0202 : app is missing"),
        (
            json!({"namespace": "~a.b"}),
            "E0202 namespace: namespace \"a.b\" is not a valid name",
        ),
        (
            json!({"app": "~web"}),
            "E0203 app: app \"web\" does not match the file name polls.yaml",
        ),
        (
            json!({"environment": "~dev"}),
            "E0205 environment: environment \"dev\" does not match the directory envs/prod",
        ),
        (
            json!({"config": {"A=B": "x"}}),
            "E0210 config.A=B: \"A=B\" is not a valid key name",
        ),
        (
            json!({"config": {"PASS": "x"}}),
            "E0211 secrets.PASS: PASS stands in config and in secrets",
        ),
        (
            json!({"config": {"N": "~0123"}}),
            "E0212 config.N: N would be read as a number; quote it",
        ),
        (
            json!({"config": {"N": "~yes"}}),
            "E0212 config.N: N would be read as true or false; quote it",
        ),
        (
            json!({"config": {"API_KEY": null}}),
            "E0213 config.API_KEY: API_KEY has no value; write \"\" for an empty text",
        ),
        (
            json!({"secrets": {"API_KEY": ["x"]}}),
            "E0214 secrets.API_KEY: API_KEY is a list; write it as JSON text",
        ),
        (
            json!({"config": {"password": "x"}}),
            "E0215 config.password: a key may not be named \"password\" here",
        ),
        (
            json!({"derived": {"secrets": "x"}}),
            "E0215 derived.secrets: a key may not be named \"secrets\" here",
        ),
        (
            json!({"secrets": {"LD_PRELOAD": "!x"}}),
            "E0216 secrets.LD_PRELOAD: LD_PRELOAD changes how programs start; list it under allow to use it",
        ),
        (
            json!({"deliver": [{"secret": "a", "keys": {"PYTHONPATH": "PASS"}}]}),
            "E0216 deliver[0].keys.PYTHONPATH: PYTHONPATH changes how programs start; list it under allow to use it",
        ),
        (
            json!({"config": {"TLS_CERT": long}}),
            "E0217 config.TLS_CERT: TLS_CERT is 140009 bytes; an environment variable holds 131071",
        ),
        (
            json!({"secrets": {"KEY": "!a\u{0}b"}}),
            "E0218 secrets.KEY: KEY holds a NUL byte",
        ),
        (
            json!({"render": {"USE_S3": "~flag"}}),
            "E0219 render.USE_S3: USE_S3: unknown rendering \"flag\"",
        ),
        (
            json!({"render": {"HOST": "~words"}}),
            "E0220 render.HOST: HOST is rendered as a flag but holds neither true nor false",
        ),
        (
            json!({"render": {"USE_S4": "~words"}}),
            "E0223 render.USE_S4: render names USE_S4, which is not in this document",
        ),
        (
            json!({"secrets": {"API_KEY": "x"}}),
            "E0140 secrets.API_KEY: API_KEY is plaintext",
        ),
        (
            json!({"secrets": {"A": "!x\n"}}),
            "W0221 secrets.A: A ends in a newline",
        ),
        (
            json!({"secrets": {"A": "!'x'"}}),
            "W0222 secrets.A: A has quotes around its value",
        ),
        (
            json!({"derived": {"U": "a{{ PAS }}"}}),
            "E0230 derived.U: U uses PAS, which is not in this document",
        ),
        (
            json!({"derived": {"U": "{{ a b }}"}}),
            "E0230 derived.U: U has a placeholder that is not the name of a value",
        ),
        (
            json!({"derived": {"U": "{{ PASS | upper }}"}}),
            "E0231 derived.U: unknown filter \"upper\"",
        ),
        (
            json!({"derived": {"A": "{{ B }}", "B": "{{ A }}"}}),
            "E0232 derived.A: A and B are composed from each other",
        ),
        (
            json!({"derived": {"A": "{{ A }}", "B": "{{ A }}"}}),
            "E0232 derived.A: A is composed from itself",
        ),
        (
            json!({"derived": {"A": "{{ HOST"}}),
            "E0233 derived.A: unclosed {{",
        ),
        (
            json!({"derived": {"U": "a://{{ PASS }}"}}),
            "W0234 derived.U: U puts PASS into a URL without urlencode",
        ),
        (
            json!({"secrets": {"A": format!("!{}", "y".repeat(600_000))}, "derived": {"U": "{{ A }}{{ A }}"}, "deliver": []}),
            "E0235 derived.U: U is longer than 1048576 bytes",
        ),
        (
            json!({"deliver": [{}]}),
            "E0240 deliver[0]: an entry needs configMap or secret",
        ),
        (
            json!({"deliver": [{"secret": "a"}, {"secret": "a"}]}),
            "E0241 deliver[1]: Secret \"a\" appears twice",
        ),
        (
            secret("a", json!({"keys": ["~PAS"]})),
            "E0242 deliver[0].keys[0]: no value named PAS",
        ),
        (
            secret("a", json!({"keys": {"a/b": "PASS"}})),
            "E0243 deliver[0].keys.a/b: \"a/b\" is not a valid key of a Secret",
        ),
        (
            json!({"deliver": [{"configMap": "a", "keys": ["PASS"]}]}),
            "E0244 deliver[0].keys[0]: PASS is sealed and cannot go to a ConfigMap",
        ),
        (
            json!({"deliver": [{"configMap": "a", "file": {"name": "f", "format": "json", "from": "all"}}]}),
            "E0244 deliver[0].file: PASS is sealed and cannot go to a ConfigMap",
        ),
        (
            json!({"secrets": {"KEY": "!a\nb"}, "deliver": [{"secret": "a", "file": {"name": "f", "format": "docker"}}]}),
            "E0245 deliver[0]: KEY has a newline, which format docker cannot carry",
        ),
        (
            secret(
                "a",
                json!({"keys": {"keystore.p12": "PASS"}, "decode": ["keystore.p12"]}),
            ),
            "E0246 deliver[0]: keystore.p12 is not base64",
        ),
        (
            secret("a", json!({"keys": ["PASS"], "decode": ["PAS"]})),
            "E0246 deliver[0].decode[0]: PAS is not a key of this object",
        ),
        (
            secret("a", json!({"type": "kubernetes.io/service-account-token"})),
            "E0247 deliver[0].type: Secret type \"kubernetes.io/service-account-token\" is not allowed",
        ),
        (
            secret(
                "a",
                json!({"type": "kubernetes.io/tls", "keys": {"tls.crt": "PASS"}}),
            ),
            "E0248 deliver[0]: type kubernetes.io/tls needs the key tls.key",
        ),
        (
            secret("a", json!({"labels": {"app.kubernetes.io/instance": "x"}})),
            "E0249 deliver[0].labels.app.kubernetes.io/instance: labels and annotations of kubernetes.io, k8s.io and sealctl.dev are set by Kubernetes and seald",
        ),
        (
            json!({"secrets": {"A": format!("!{huge}")}, "deliver": [{"secret": "polls-secrets"}]}),
            "E0250 deliver[0]: Secret \"polls-secrets\" is 1200000 bytes; the limit is 1048576",
        ),
        (
            secret("A", json!({})),
            "E0251 deliver[0].secret: \"A\" is not a valid name of a Secret",
        ),
        (
            secret(
                "a",
                json!({"keys": ["PASS"], "file": {"name": "f", "format": "json"}}),
            ),
            "E0252 deliver[0].file: keys and file exclude each other",
        ),
        (
            secret("a", json!({"labels": {"team": "a b"}})),
            "E0253 deliver[0].labels.team: team is not valid in labels",
        ),
        (
            secret(
                "a",
                json!({"type": "kubernetes.io/dockerconfigjson", "keys": {".dockerconfigjson": "PASS"}}),
            ),
            "E0254 deliver[0]: .dockerconfigjson is not JSON",
        ),
        (
            json!({"workloads": {"settle": 10}}),
            "E0260 workloads.settle: settle: \"10\" has no unit; write 10s",
        ),
        (
            json!({"workloads": {"settle": "~11m"}}),
            "E0260 workloads.settle: settle: 11m is not between 0s and 10m",
        ),
        (
            json!({"workloads": {"timeout": "~30s"}}),
            "E0260 workloads.timeout: timeout: 30s is not between 1m and 2h",
        ),
        (
            json!({"workloads": {"restart": "~always"}}),
            "E0261 workloads.restart: restart: unknown word \"always\"",
        ),
        (
            json!({"workloads": {"include": ["~worker"]}}),
            "E0262 workloads.include[0]: \"worker\" is not kind/name",
        ),
        (
            json!({"workloads": {"exclude": ["~cronjob/cleanup"]}}),
            "E0263 workloads.exclude[0]: cronjob/cleanup is never restarted; its next run reads the new values",
        ),
        (
            json!({"workloads": {"include": ["deployment/web"], "exclude": ["deployment/web"]}}),
            "E0264 workloads.exclude[0]: deployment/web is included and excluded",
        ),
        (
            json!({"workloads": {"parallel": 0}}),
            "E0265 workloads.parallel: parallel: 0 is not between 1 and 1000",
        ),
        (
            superuser(json!({"from": "~polls"})),
            "E0270 superuser.from: superuser.from: \"polls\" is not kind/name",
        ),
        (
            superuser(json!({"password": "REMOVE"})),
            "E0272 superuser: superuser has no password",
        ),
        (
            superuser(json!({"password": "!x\n"})),
            "E0273 superuser.password: superuser.password is empty or ends in a newline",
        ),
        (
            superuser(json!({"password": "x"})),
            "E0140 superuser.password: superuser.password is plaintext",
        ),
        (
            superuser(json!({"password": "REMOVE", "passwordFrom": "HOST"})),
            "E0242 superuser.passwordFrom: no value named HOST in secrets",
        ),
        (
            superuser(json!({"manage": "~-c"})),
            "E0274 superuser.manage: superuser.manage is not the path of a manage.py",
        ),
        (
            superuser(json!({"usernameFrom": "HOST"})),
            "E0275 superuser.usernameFrom: superuser has username and usernameFrom; keep one",
        ),
        (
            superuser(json!({"username": "REMOVE"})),
            "E0276 superuser: superuser has no login; write username or email",
        ),
        (
            superuser(json!({"fields": {"a b": "x"}})),
            "E0277 superuser.fields.a b: superuser.fields: \"a b\" is not the name of a field",
        ),
        (
            superuser(json!({"container": "~A"})),
            "E0278 superuser.container: superuser.container: \"A\" is not a valid name",
        ),
        (
            superuser(json!({"policy": "~always"})),
            "E0261 superuser.policy: policy: unknown word \"always\"",
        ),
        (
            superuser(json!({"after": "~never"})),
            "E0261 superuser.after: after: unknown word \"never\"",
        ),
    ];
    for (changes, expected) in cases {
        let shown: String = changes.to_string().chars().take(200).collect();
        assert_eq!(told(changes), [expected], "{shown}");
    }
}
