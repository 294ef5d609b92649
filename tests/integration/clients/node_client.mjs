// What clients_test.sh does with npm's @kubernetes/client-node.
//
// node_client.mjs use <kubeconfig>         typed CRUD, patches and verbs; prints what is wrong
// node_client.mjs inform <kubeconfig>      an informer of ConfigMaps labelled informed=yes: a line for each thing that it learns
// node_client.mjs exec <kubeconfig> <pod>  exec by WebSocket
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { pathToFileURL } from 'node:url';
import { PassThrough } from 'node:stream';

// The test installs the client into the directory that it runs in.
const require = createRequire(process.cwd() + '/');
const k8s = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const namespace = 'default';
let failures = 0;

function is(what, expected, actual) {
    if (isDeepStrictEqual(expected, actual)) return;
    failures++;
    console.log(`FAIL: node: ${what}\n  expected: ${JSON.stringify(expected)}\n  actual:   ${JSON.stringify(actual)}`);
}

// The call is answered with this code and reason; the message.
async function refused(what, code, reason, promise) {
    try {
        await promise;
    } catch (e) {
        if (!(e instanceof k8s.ApiException)) throw e;
        const status = typeof e.body === 'string' ? JSON.parse(e.body) : e.body;
        is(what, [code, reason], [e.code, status.reason]);
        return status.message;
    }
    is(what, [code, reason], 'success');
    return '';
}

const as = (type) => k8s.setHeaderOptions('Content-Type', type);
const container = { name: 'c', image: 'image:1' };

async function configMaps(core) {
    const made = await core.createNamespacedConfigMap({
        namespace, body: { metadata: { name: 'js', labels: { by: 'node' } }, data: { a: '1' } } });
    is('create: data', { a: '1' }, made.data);
    is('create: when', true, made.metadata.creationTimestamp instanceof Date);
    await refused('create again', 409, 'AlreadyExists', core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'js' } } }));
    await refused('a bad name', 422, 'Invalid', core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'Js_' } } }));

    made.data.b = '2';
    is('replace', { a: '1', b: '2' }, (await core.replaceNamespacedConfigMap({ name: 'js', namespace, body: made })).data);
    await refused('replace an old one', 409, 'Conflict', core.replaceNamespacedConfigMap({ name: 'js', namespace, body: made }));

    const patch = async (type, body, more) => (await core.patchNamespacedConfigMap({ name: 'js', namespace, body, ...more }, as(type))).data;
    is('JSON patch', { a: 'json', b: '2' }, await patch(k8s.PatchStrategy.JsonPatch, [{ op: 'replace', path: '/data/a', value: 'json' }]));
    is('merge patch', { a: 'json', c: 'merge' }, await patch(k8s.PatchStrategy.MergePatch, { data: { b: null, c: 'merge' } }));
    is('strategic merge patch', { d: 'strategic' },
        await patch(k8s.PatchStrategy.StrategicMergePatch, { data: { $patch: 'replace', d: 'strategic' } }));
    const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'js', namespace }, data: { e: 'apply' } };
    is('apply', { d: 'strategic', e: 'apply' }, await patch(k8s.PatchStrategy.ServerSideApply, applied, { fieldManager: 'one' }));
    applied.data.e = 'other';
    const conflict = await refused('apply what another owns', 409, 'Conflict',
        patch(k8s.PatchStrategy.ServerSideApply, applied, { fieldManager: 'two' }));
    is('who owns it', true, conflict.includes('conflict with "one": .data.e'));
    is('apply by force', 'other', (await patch(k8s.PatchStrategy.ServerSideApply, applied, { fieldManager: 'two', force: true })).e);
    is('dry run', 'dry', (await patch(k8s.PatchStrategy.MergePatch, { data: { f: 'dry' } }, { dryRun: 'All' })).f);
    is('after a dry run', undefined, (await core.readNamespacedConfigMap({ name: 'js', namespace })).data.f);
    await refused('no type of a patch', 415, 'UnsupportedMediaType', patch('text/plain', { data: { g: 'x' } }));

    for (let i = 0; i < 4; i++)
        await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: `js-${i}`, labels: { by: 'node' } } } });
    const pages = [];
    let _continue;
    do {
        const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'by=node', limit: 2, _continue });
        pages.push(page.items.map((o) => o.metadata.name));
        _continue = page.metadata._continue;
    } while (_continue);
    is('pages', [['js', 'js-0'], ['js-1', 'js-2'], ['js-3']], pages);

    const deleted = await core.deleteNamespacedConfigMap({ name: 'js', namespace });
    is('delete', ['Success', 'js'], [deleted.status, deleted.details.name]);
    is('read what is gone', 'configmaps "js" not found', await refused('read', 404, 'NotFound', core.readNamespacedConfigMap({ name: 'js', namespace })));
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'by=node' });
    is('delete a collection', [], (await core.listNamespacedConfigMap({ namespace, labelSelector: 'by=node' })).items);
}

async function deployments(apps) {
    const made = await apps.createNamespacedDeployment({ namespace, body: {
        metadata: { name: 'js' }, spec: { selector: { matchLabels: { app: 'js' } }, template: {
            metadata: { labels: { app: 'js' } }, spec: { containers: [container] } } } } });
    is('defaults of a deployment', [1, 'RollingUpdate', '25%', 10, 600, 'Always'], [made.spec.replicas, made.spec.strategy.type,
        made.spec.strategy.rollingUpdate.maxSurge, made.spec.revisionHistoryLimit, made.spec.progressDeadlineSeconds,
        made.spec.template.spec.restartPolicy]);
    const it = { name: 'js', namespace };
    const scale = await apps.readNamespacedDeploymentScale(it);
    is('scale', [1, 'app=js'], [scale.spec.replicas, scale.status.selector]);
    scale.spec.replicas = 2;
    is('replace the scale', 2, (await apps.replaceNamespacedDeploymentScale({ ...it, body: scale })).spec.replicas);
    is('patch the scale', 3, (await apps.patchNamespacedDeploymentScale(
        { ...it, body: { spec: { replicas: 3 } } }, as(k8s.PatchStrategy.MergePatch))).spec.replicas);
    const patched = await apps.patchNamespacedDeployment({ ...it, body: { spec: { template: { spec: { containers: [
        { name: 'sidecar', image: 'image:2' }, { name: 'c', env: [{ name: 'A', value: 'b' }] }] } } } } },
        as(k8s.PatchStrategy.StrategicMergePatch));
    is('containers are merged by name', ['c=image:1', 'sidecar=image:2'],
        patched.spec.template.spec.containers.map((c) => `${c.name}=${c.image}`).sort());
    is('generation after the changes', [4, 3], [patched.metadata.generation, patched.spec.replicas]);
    patched.status = { observedGeneration: 4, replicas: 3, conditions: [{ type: 'Available', status: 'True', reason: 'Node', message: 'said so' }] };
    const answer = await apps.replaceNamespacedDeploymentStatus({ ...it, body: patched });
    is('status', [4, 'Node', 4], [answer.status.observedGeneration, answer.status.conditions[0].reason, answer.metadata.generation]);
    await apps.deleteNamespacedDeployment({ ...it, propagationPolicy: 'Background' });
    await refused('a deployment that is gone', 404, 'NotFound', apps.readNamespacedDeployment(it));
}

async function pods(core) {
    const made = await core.createNamespacedPod({ namespace, body: { metadata: { name: 'js' }, spec: { containers: [
        { ...container, ports: [{ containerPort: 80 }], resources: { requests: { cpu: '100m' }, limits: { memory: '64Mi' } } }] } } });
    is('a pod', ['Pending', 'Burstable', 'Always', 'TCP', 'default'], [made.status.phase, made.status.qosClass, made.spec.restartPolicy,
        made.spec.containers[0].ports[0].protocol, made.spec.serviceAccountName]);
    const it = { name: 'js', namespace };
    await core.createNamespacedPodBinding({ ...it, body: { metadata: { name: 'js' }, target: { kind: 'Node', name: 'nowhere' } } });
    is('binding', 'nowhere', (await core.readNamespacedPod(it)).spec.nodeName);
    const debugged = await core.patchNamespacedPodEphemeralcontainers({ ...it, body: { spec: { ephemeralContainers: [
        { name: 'debugger', image: 'debug', targetContainerName: 'c' }] } } }, as(k8s.PatchStrategy.StrategicMergePatch));
    is('ephemeral containers', ['debugger'], debugged.spec.ephemeralContainers.map((c) => c.name));
    const resized = await core.patchNamespacedPodResize({ ...it, body: { spec: { containers: [
        { name: 'c', resources: { requests: { cpu: '200m' } } }] } } }, as(k8s.PatchStrategy.StrategicMergePatch));
    is('resize', '200m', resized.spec.containers[0].resources.requests.cpu);
    const running = await core.patchNamespacedPodStatus({ ...it, body: { status: { phase: 'Running' } } }, as(k8s.PatchStrategy.MergePatch));
    is('status of a pod', 'Running', running.status.phase);
    is('no log of no node', 'nodes "nowhere" not found', await refused('log', 404, 'NotFound', core.readNamespacedPodLog(it)));
    await core.createNamespacedPodEviction({ ...it, body: { metadata: { name: 'js' }, deleteOptions: { gracePeriodSeconds: 0 } } });
    await refused('a pod that is evicted', 404, 'NotFound', core.readNamespacedPod(it));
}

async function reviews(config) {
    const token = await config.makeApiClient(k8s.CoreV1Api).createNamespacedServiceAccountToken({ name: 'default', namespace,
        body: { spec: { audiences: ['https://kubernetes.default.svc'], expirationSeconds: 600 } } });
    const review = await config.makeApiClient(k8s.AuthenticationV1Api).createTokenReview({ body: { spec: { token: token.status.token } } });
    is('token', [true, 'system:serviceaccount:default:default'], [review.status.authenticated, review.status.user.username]);
    const allowed = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({
        body: { spec: { resourceAttributes: { verb: 'delete', resource: 'nodes' } } } });
    is('access review', true, allowed.status.allowed);
    const version = await config.makeApiClient(k8s.VersionApi).getCode();
    is('version', ['1', '36'], [version.major, version.minor]);
}

// The client that learns of resources from discovery.
async function objects(config) {
    const api = k8s.KubernetesObjectApi.makeApiClient(config);
    const spec = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'object', namespace }, data: { a: '1' } };
    is('create', 'object', (await api.create(spec)).metadata.name);
    is('patch', { a: '2' }, (await api.patch({ ...spec, data: { a: '2' } }, undefined, undefined, 'x', undefined, k8s.PatchStrategy.MergePatch)).data);
    is('list', ['object'], (await api.list('v1', 'ConfigMap', namespace, undefined, undefined, undefined, 'metadata.name=object')).items
        .map((o) => o.metadata.name));
    is('delete', 'Success', (await api.delete(spec)).status);
}

async function inform(config) {
    const core = config.makeApiClient(k8s.CoreV1Api);
    const labelSelector = 'informed=yes';
    const learn = (...words) => console.log(...words);
    const list = async () => {
        const found = await core.listNamespacedConfigMap({ namespace, labelSelector });
        learn('list', found.items.length);
        return found;
    };
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list, labelSelector);
    for (const verb of ['add', 'update', 'delete'])
        informer.on(verb, (o) => learn(verb, o.metadata.name));
    // Its user starts it again when the server is away.
    informer.on('error', () => setTimeout(() => informer.start(), 100));
    await informer.start();
}

async function execute(config, pod) {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const collect = (stream) => {
        const pieces = [];
        stream.on('data', (d) => pieces.push(d));
        return () => Buffer.concat(pieces).toString();
    };
    const [out, err] = [collect(stdout), collect(stderr)];
    const status = await new Promise((resolve, reject) => {
        new k8s.Exec(config).exec(namespace, pod, 'c', ['sh', '-c', 'read x; echo got $x; echo err >&2; exit 3'],
            stdout, stderr, stdin, false, resolve).catch(reject);
        stdin.write('typed\n');
    });
    is('exec', ['got typed\n', 'err\n', 'NonZeroExitCode', '3'], [out(), err(), status.reason, status.details.causes[0].message]);
}

const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[3]);
if (process.argv[2] === 'inform') {
    await inform(config);
} else {
    if (process.argv[2] === 'exec') {
        await execute(config, process.argv[4]);
    } else {
        await configMaps(config.makeApiClient(k8s.CoreV1Api));
        await deployments(config.makeApiClient(k8s.AppsV1Api));
        await pods(config.makeApiClient(k8s.CoreV1Api));
        await reviews(config);
        await objects(config);
    }
    process.exit(failures > 0 ? 1 : 0);
}
